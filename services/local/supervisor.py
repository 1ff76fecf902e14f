"""Starts processes, keeps them running, stops them. Nothing it started outlives it: see guard.py.

Processes started together are one rank. Ranks are stopped in the reverse of the order they were started in, so that a
worker loses its database only after it has ended.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from services.local import guard
from shared.errors import StartFailed

POLL_SECONDS = 0.1
STOP_SECONDS = 10.0  # for one rank to end by itself; the images in hand are put back by their leases if it does not
HURRIED_STOP_SECONDS = 3.0  # the same after an error, while a person waits to be told of it
FIRST_DELAY_SECONDS = 0.5  # before a process that ended is started again; doubles each time it ends again soon
LONGEST_DELAY_SECONDS = 30.0
STEADY_SECONDS = 60.0  # a process that ran for so long starts again with the first delay
SILENT_SECONDS = 60.0  # a process that should beat and has not for so long is frozen, and is killed
FIRST_BEAT_SECONDS = 300.0  # the same before its first beat: models are loaded, from a cold disk perhaps
TAIL_LINES = 20  # of its log, shown for a process that did not start
LOG_BYTES = 10 * 1024 * 1024  # a longer log is set aside when its process starts

Report = Callable[[str, str], None]
"""Called with the name of a process and what happened to it, in words; from the watching thread too."""


def to_nobody(name: str, happened: str) -> None:
    """Reports nothing."""


@dataclass(frozen=True)
class Process:
    """What to run. `environment` is added to that of the supervisor; output goes to the end of `log`.

    heartbeat: a file whose time the process renews every second or so, as long as it can do anything.
    """

    name: str
    argv: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
    heartbeat: Path | None = None


@dataclass
class Child:
    """A process as it runs now, or as it will be started again at `due` on the monotonic clock.

    silence: seconds since its heartbeat, or its start. They are counted by looks: the supervisor may have been asleep
    itself, with the whole machine.
    """

    process: Process
    running: subprocess.Popen[bytes]
    started: float
    delay: float = FIRST_DELAY_SECONDS
    due: float | None = None
    beat: int | None = None
    silence: float = 0.0


class Supervisor:
    """Runs processes until the end of its `with` block.

    `inherited` are open files that every child shall keep open as long as it lives.
    """

    def __init__(self, report: Report = to_nobody, inherited: Sequence[int] = ()) -> None:
        self._report = report
        self._inherited = tuple(inherited)
        self._ranks: list[list[Child]] = []
        self._stopping = threading.Event()
        self._watcher: threading.Thread | None = None
        self._guard, self._pipe = _hire_guard()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self.stop(STOP_SECONDS if error is None else HURRIED_STOP_SECONDS)

    def start(self, *processes: Process) -> None:
        """Starts these processes as one rank."""
        rank: list[Child] = []
        self._ranks.append(rank)
        rank.extend(Child(process, self._spawn(process), time.monotonic()) for process in processes)

    def await_ready(self, name: str, ready: Callable[[], bool], seconds: float) -> None:
        """Waits until `ready` answers True.

        Raises StartFailed, with the end of the log of the process to blame, when any process ends meanwhile or when
        the time is up.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            for child in self._children():
                if child.running.poll() is not None:
                    raise StartFailed(
                        f"{child.process.name} {_ending(child.running.returncode)}.{_tail(child.process)}"
                    )
            if time.monotonic() > deadline:
                process = next(child.process for child in self._children() if child.process.name == name)
                raise StartFailed(f"{name} was not ready after {seconds:.0f} s.{_tail(process)}")
            time.sleep(POLL_SECONDS)

    def keep_running(self) -> None:
        """From now on, starts every process that ends again."""
        self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._watcher.start()

    def pids(self) -> dict[str, int]:
        """The process ids at this moment, by name."""
        return {child.process.name: child.running.pid for child in self._children()}

    def stop(self, seconds: float) -> None:
        """Stops all processes, last rank first, and returns when they are gone. Kills what a rank has left by then."""
        self._stopping.set()
        if self._watcher is not None:
            self._watcher.join()
        while self._ranks:
            self._stop_rank(self._ranks[-1], seconds)
            self._ranks.pop()
        os.close(self._pipe)
        self._guard.wait()

    def _children(self) -> list[Child]:
        return [child for rank in self._ranks for child in rank]

    def _spawn(self, process: Process) -> subprocess.Popen[bytes]:
        if process.log.exists() and process.log.stat().st_size > LOG_BYTES:
            process.log.replace(process.log.with_suffix(".log.1"))
        if process.heartbeat is not None:
            process.heartbeat.unlink(missing_ok=True)
        self._report(process.name, "starting")
        with process.log.open("ab") as log:
            return subprocess.Popen(
                [*_guard_argv("run", self._pipe), str(int(process.stop_signal)), *process.argv],
                env={**os.environ, **process.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[self._pipe, *self._inherited],
                process_group=0,  # Ctrl-C in the terminal reaches the supervisor only, and it decides the order
            )

    def _watch(self) -> None:
        while not self._stopping.wait(POLL_SECONDS):
            if self._guard.poll() is not None:
                self._replace_guard()
            for child in self._children():
                if child.due is not None and time.monotonic() >= child.due:
                    self._start_again(child)
                elif child.due is None and child.running.poll() is not None:
                    self._clear(child)
                    self._plan_restart(child, _ending(child.running.returncode))
                elif child.due is None and _frozen(child):
                    self._report(child.process.name, f"not heard of for {child.silence:.0f} s; killed")
                    child.running.kill()

    def _replace_guard(self) -> None:
        self._report("guard", f"{_ending(self._guard.returncode)}; starting another")
        os.close(self._pipe)
        self._guard, self._pipe = _hire_guard()
        for child in self._children():
            if child.due is None:
                self._tell_guard(f"started {child.running.pid} {int(child.process.stop_signal)}")

    def _start_again(self, child: Child) -> None:
        try:
            child.running, child.started, child.due = self._spawn(child.process), time.monotonic(), None
            child.beat, child.silence = None, 0.0
        except OSError as error:  # no memory, no disk: this may pass
            self._plan_restart(child, f"did not start: {error}")

    def _plan_restart(self, child: Child, happened: str) -> None:
        now = time.monotonic()
        if now - child.started > STEADY_SECONDS:
            child.delay = FIRST_DELAY_SECONDS
        child.due = now + child.delay
        self._report(child.process.name, f"{happened}; starting again in {child.delay:g} s")
        child.delay = min(2 * child.delay, LONGEST_DELAY_SECONDS)

    def _stop_rank(self, rank: list[Child], seconds: float) -> None:
        for child in rank:
            if child.running.poll() is None:
                child.running.send_signal(child.process.stop_signal)
        deadline = time.monotonic() + seconds
        for child in rank:
            try:
                child.running.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.running.kill()
                child.running.wait()
            self._clear(child)
            self._report(child.process.name, "stopped")

    def _clear(self, child: Child) -> None:
        """Kills what an ended child left in its process group, and takes the child off the guard's list."""
        guard.send(os.killpg, child.running.pid, signal.SIGKILL)
        self._tell_guard(f"ended {child.running.pid}")

    def _tell_guard(self, line: str) -> None:
        with suppress(BrokenPipeError):  # it is gone; its successor will be told everything
            os.write(self._pipe, f"{line}\n".encode())


def _hire_guard() -> tuple[subprocess.Popen[bytes], int]:
    """A guard, and the end of the pipe that it listens to."""
    reading, writing = os.pipe()
    argv = _guard_argv("hold", reading)
    running = subprocess.Popen(argv, pass_fds=[reading], stdin=subprocess.DEVNULL, start_new_session=True)
    os.close(reading)
    return running, writing


def _guard_argv(role: str, pipe: int) -> list[str]:
    # Isolated and without site-packages: it starts in a few milliseconds, whatever is installed.
    return [sys.executable, "-I", "-S", guard.__file__, role, str(pipe)]


def _frozen(child: Child) -> bool:
    """One look: whether the process should have renewed the time of its heartbeat's file long ago."""
    if child.process.heartbeat is None:
        return False
    with suppress(FileNotFoundError):
        beat = child.process.heartbeat.stat().st_mtime_ns
        if beat != child.beat:
            child.beat, child.silence = beat, 0.0
            return False
    child.silence += POLL_SECONDS
    return child.silence > (FIRST_BEAT_SECONDS if child.beat is None else SILENT_SECONDS)


def _ending(status: int) -> str:
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with exit status {status}"


def _tail(process: Process) -> str:
    lines = process.log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
    return "".join(f"\n  {line}" for line in [f"The end of {process.log}:", *lines])
