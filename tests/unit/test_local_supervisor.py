import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from services.local import guard
from services.local import supervisor as module
from services.local.supervisor import Process, Supervisor
from shared.errors import StartFailed
from tests.processes import living

SHELL = "/bin/sh"
STUBBORN = "trap '' TERM; echo up; while :; do sleep 0.05; done"


def eventually(condition: Callable[[], bool]) -> None:
    """Returns when the condition holds; fails when it does not within a time far longer than needed."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    return bool(living([pid]))


@pytest.fixture
def events() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def supervisor(events: list[tuple[str, str]]) -> Iterator[Supervisor]:
    with Supervisor(lambda name, happened: events.append((name, happened))) as supervisor:
        yield supervisor


@pytest.fixture
def shell(tmp_path: Path) -> Callable[..., Process]:
    """Makes a process out of a line of shell."""
    return lambda name, line: Process(name, [SHELL, "-c", line], tmp_path / f"{name}.log", {"HERE": str(tmp_path)})


def test_output_and_environment(supervisor: Supervisor, shell: Callable[..., Process], tmp_path: Path) -> None:
    supervisor.start(shell("one", 'echo "$HERE"; echo loud >&2; exec sleep 60'))
    supervisor.await_ready("one", lambda: "loud" in (tmp_path / "one.log").read_text(), 30)

    assert (tmp_path / "one.log").read_text() == f"{tmp_path}\nloud\n"


def test_one_that_ends_is_started_again(
    supervisor: Supervisor, shell: Callable[..., Process], events: list[tuple[str, str]]
) -> None:
    supervisor.start(shell("one", "exec sleep 60"), shell("two", "exec sleep 60"))
    supervisor.keep_running()
    first = supervisor.pids()
    os.kill(first["one"], signal.SIGKILL)

    eventually(lambda: supervisor.pids()["one"] != first["one"])
    assert alive(supervisor.pids()["one"])
    assert supervisor.pids()["two"] == first["two"]
    assert ("one", "was ended by SIGKILL; starting again in 0.5 s") in events


def test_one_that_keeps_ending_is_started_less_and_less_often(
    supervisor: Supervisor,
    shell: Callable[..., Process],
    events: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "LONGEST_DELAY_SECONDS", 1.0)
    supervisor.start(shell("one", "exit 3"))
    supervisor.keep_running()

    eventually(lambda: len(events) >= 6)
    assert [happened for _, happened in events[1:6:2]] == [
        f"ended with exit status 3; starting again in {delay} s" for delay in ("0.5", "1", "1")
    ]


def test_what_a_dead_process_leaves_behind_is_ended_before_it_starts_again(
    supervisor: Supervisor, shell: Callable[..., Process], tmp_path: Path
) -> None:
    supervisor.start(shell("one", 'sleep 60 & echo $! >>"$HERE/grandchildren"; wait'))
    supervisor.keep_running()
    grandchildren = tmp_path / "grandchildren"
    eventually(lambda: grandchildren.exists() and bool(grandchildren.read_text()))
    grandchild = int(grandchildren.read_text())
    os.kill(supervisor.pids()["one"], signal.SIGKILL)

    eventually(lambda: not alive(grandchild))


def test_the_one_to_blame_is_named_with_the_end_of_its_log(
    supervisor: Supervisor, shell: Callable[..., Process], tmp_path: Path
) -> None:
    supervisor.start(shell("good", "exec sleep 60"), shell("bad", "echo no such setting >&2; exit 2"))

    with pytest.raises(StartFailed, match=r"bad ended with exit status 2\.(.|\n)*no such setting"):
        supervisor.await_ready("good", lambda: False, 30)


def test_one_that_is_never_ready_is_named_too(supervisor: Supervisor, shell: Callable[..., Process]) -> None:
    supervisor.start(shell("slow", "echo thinking; exec sleep 60"))

    with pytest.raises(StartFailed, match="slow was not ready after 0 s"):
        supervisor.await_ready("slow", lambda: False, 0)


def test_ranks_are_stopped_in_reverse_order(shell: Callable[..., Process], tmp_path: Path) -> None:
    line = 'trap \'echo {0} >>"$HERE/order"; exit\' TERM; echo up >>"$HERE/{0}.up"; while :; do sleep 0.02; done'
    with Supervisor() as supervisor:
        for name in ("first", "second", "third"):
            supervisor.start(shell(name, line.format(name)))
            supervisor.await_ready(name, (tmp_path / f"{name}.up").exists, 30)

    assert (tmp_path / "order").read_text().split() == ["third", "second", "first"]


def test_one_that_will_not_stop_is_killed(
    shell: Callable[..., Process], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STOP_SECONDS", 0.1)
    with Supervisor() as supervisor:
        supervisor.start(shell("stubborn", STUBBORN))
        supervisor.await_ready("stubborn", lambda: "up" in (tmp_path / "stubborn.log").read_text(), 30)
        pid = supervisor.pids()["stubborn"]

    assert not alive(pid)


def test_nothing_is_left_when_the_block_fails(shell: Callable[..., Process]) -> None:
    others = set(psutil.Process().children())
    started: set[psutil.Process] = set()

    def interrupted() -> None:
        with Supervisor() as supervisor:
            supervisor.start(shell("one", "exec sleep 60"))
            started.update(set(psutil.Process().children()) - others)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(started) == 2  # the guard and the child
    assert not any(child.is_running() for child in started)


def test_a_guard_that_ends_is_replaced(
    supervisor: Supervisor, shell: Callable[..., Process], tmp_path: Path, events: list[tuple[str, str]]
) -> None:
    supervisor.start(shell("one", "echo up; exec sleep 60"))
    supervisor.await_ready("one", lambda: "up" in (tmp_path / "one.log").read_text(), 30)
    supervisor.keep_running()
    child = supervisor.pids()["one"]
    os.kill(supervisor._guard.pid, signal.SIGKILL)
    eventually(lambda: ("guard", "was ended by SIGKILL; starting another") in events)
    assert supervisor.pids()["one"] == child

    os.kill(child, signal.SIGKILL)
    eventually(lambda: supervisor.pids()["one"] != child and alive(supervisor.pids()["one"]))
    eventually(lambda: (tmp_path / "one.log").read_text() == "up\nup\n")


def test_a_program_that_is_missing_is_an_error_with_its_name(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start(Process("none", ["/no/such/program"], tmp_path / "none.log"))

    with pytest.raises(StartFailed, match="/no/such/program"):
        supervisor.await_ready("none", lambda: False, 30)


def test_a_long_log_is_set_aside(
    supervisor: Supervisor, shell: Callable[..., Process], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOG_BYTES", 3)
    (tmp_path / "one.log").write_text("long")
    supervisor.start(shell("one", "exec sleep 60"))

    assert (tmp_path / "one.log.1").read_text() == "long"
    assert (tmp_path / "one.log").read_text() == ""


def test_the_guard_kills_those_that_do_not_stop_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "GRACE_SECONDS", 0.1)
    argv = [SHELL, "-c", STUBBORN.replace("echo up", 'echo >"$0"'), str(tmp_path / "up")]
    with subprocess.Popen(argv, process_group=0) as stubborn:
        eventually((tmp_path / "up").exists)
        guard.end({stubborn.pid: signal.SIGTERM})

        assert stubborn.wait() == -signal.SIGKILL


BEATS = 'touch "$HERE/beat"; sleep 0.05'


def beating(process: Process, tmp_path: Path) -> Process:
    return replace(process, heartbeat=tmp_path / "beat")


def test_one_that_is_frozen_is_killed_and_started_again(
    supervisor: Supervisor,
    shell: Callable[..., Process],
    tmp_path: Path,
    events: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "SILENT_SECONDS", 2.0)
    frozen = beating(shell("one", f"while :; do {BEATS}; done"), tmp_path)
    supervisor.start(frozen, shell("quiet", "exec sleep 60"))
    supervisor.keep_running()
    eventually((tmp_path / "beat").exists)
    first = supervisor.pids()
    os.kill(first["one"], signal.SIGSTOP)
    eventually(lambda: supervisor.pids()["one"] != first["one"])
    assert [happened for name, happened in events if name == "one"][1:3] == [
        "not heard of for 2 s; killed",
        "was ended by SIGKILL; starting again in 0.5 s",
    ]
    assert supervisor.pids()["quiet"] == first["quiet"], "nobody said that it would beat"


def test_before_the_first_beat_there_is_more_time(
    supervisor: Supervisor,
    shell: Callable[..., Process],
    tmp_path: Path,
    events: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "SILENT_SECONDS", 0.2)
    monkeypatch.setattr(module, "FIRST_BEAT_SECONDS", 3.0)
    (tmp_path / "beat").touch()  # of the time before
    supervisor.start(beating(shell("one", "exec sleep 60"), tmp_path))
    supervisor.keep_running()
    eventually(lambda: len(events) > 1)
    assert events[1] == ("one", "not heard of for 3 s; killed")


def test_a_supervisor_that_was_asleep_itself_blames_nobody(
    shell: Callable[..., Process], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time that passed between two of its looks does not count: the whole machine may have been suspended."""
    monkeypatch.setattr(module, "SILENT_SECONDS", 60.0)
    process = beating(shell("one", "true"), tmp_path)
    child = module.Child(process, running=None, started=time.monotonic() - 10_000)
    (tmp_path / "beat").touch()
    os.utime(tmp_path / "beat", (1, 1))
    assert not module._frozen(child)
    assert not any(module._frozen(child) for _ in range(599))
    assert any(module._frozen(child) for _ in range(3))
