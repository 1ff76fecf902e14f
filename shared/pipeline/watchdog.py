"""A process that notices that it does nothing any more ends itself, and whoever started it starts it again.

That a process can be ended at any moment is what leases are for; so none has to be repaired from within. As long as it
looks at itself it says so (`beat`): one that is frozen can do neither, and is ended by its supervisor.
"""

import faulthandler
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import NoReturn

import structlog

from shared.errors import BrokerUnavailable
from shared.jobs.states import Priority, Stage
from shared.pipeline.connections import Connections
from shared.pipeline.messages import next_message
from shared.pipeline.stages import queue

log = structlog.get_logger()

LOOK_SECONDS = 1.0
# At what a worker should hear of, within the time for which it may be deaf: noticed hardly later than by looking all
# the time.
LOOKS = 12
# Between two signs of life of Celery's event loop. Flower has them too, and shows a worker as offline after twice that.
# Celery's own 2 s made them a good part of what an idle worker does.
HEARTBEAT_SECONDS = 5
EVENT_LOOP = "event loop"
STDERR = 2  # itself: Celery puts something else in the place of sys.stderr
STUCK = 70  # exit status, as sysexits.h has it for an internal fault


def forget_beats(file: Path | None) -> None:
    """Remove what a process that was here before has left: a heartbeat is to be this process's own. For its start."""
    if file is not None:
        file.unlink(missing_ok=True)


def beat(file: Path | None) -> None:
    """Leave the time in the heartbeat's file, if there is one to be kept. One that cannot be written stands still, and
    whoever looks at it decides: the work may well go on.
    """
    if file is not None:
        with suppress(OSError):
            file.touch()


def end() -> NoReturn:
    """End this process, which stands still, and leave in its log where each of its threads stands."""
    try:
        # Takes no lock, which may be held for ever, and no memory, which may be short.
        faulthandler.dump_traceback(STDERR)
    finally:
        os._exit(STUCK)


class Watchdog:
    """Ends a worker that is stuck: one that gets nothing of a batch done for `max_run_seconds`. And one that is deaf:
    with free hands, while the next message of a queue of its stage stays the same, or while Celery's event loop, which
    takes the messages, does not turn.

    So it never ends one that has nothing to do, or is at work and gets on; nor one whose neighbours take everything,
    for then the next message changes; nor one whose Redis is away, for then there is none to be seen. A worker that is
    deaf again after its start lives as long as before, `deaf_worker_seconds`: it is not restarted more often than that.

    It looks from a thread that is there before the work begins. One that is started for a batch may come to nothing
    where memory is short, just when the batch does; and whoever started it, as the event loop does, waits for ever.
    """

    def __init__(self, connections: Connections, stage: Stage) -> None:
        self._connections = connections
        self._stage = stage
        self._patience = connections.settings.deaf_worker_seconds
        self._changing = threading.Lock()
        self._due: dict[object, float] = {}  # when what is in hand is stuck, unless some of it is done by then
        self._taken = 0
        self._seen_taken = 0
        self._heartbeats = 0
        # How each thing was that should not stay as it is, and since when.
        self._seen: dict[str, tuple[object, float]] = {}

    def start(self) -> None:
        """Look from a thread from now on."""
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def event_loop_turns(self, **_: object) -> None:
        """Called by Celery every HEARTBEAT_SECONDS, from its event loop."""
        self._heartbeats += 1

    @contextmanager
    def at_work(self) -> Iterator[Callable[[], None]]:
        """While this worker has a message in hand. Gives what is to be called whenever some of it is done."""
        mine = object()

        def getting_on() -> None:
            with self._changing:
                self._due[mine] = monotonic() + self._connections.settings.max_run_seconds

        getting_on()
        with self._changing:
            self._taken += 1
        try:
            yield getting_on
        finally:
            with self._changing:
                del self._due[mine]

    def stuck(self) -> bool:
        """One look: whether this worker has something in hand of which it has got nothing done for too long."""
        with self._changing:
            return any(due < monotonic() for due in self._due.values())

    def deaf_to(self) -> str | None:
        """One look: the queue whose next message this worker has let lie for too long, or its event loop."""
        with self._changing:
            busy = bool(self._due) or self._taken != self._seen_taken
            self._seen_taken = self._taken
        if busy:
            self._seen.clear()
            return None
        try:
            for name, now, patience in self._should_change():
                before, since = self._seen.get(name, (None, 0.0))
                if now is None or now != before:
                    self._seen[name] = now, monotonic()
                elif monotonic() - since >= patience:
                    return name
        except BrokerUnavailable:  # it waits for Redis, and so does its event loop
            self._seen.clear()
        return None

    def _should_change(self) -> Iterator[tuple[str, object, float]]:
        """What should not stay as it is while this worker is idle, how it is, and for how many seconds it may be so."""
        for priority in Priority:
            message = next_message(self._connections.broker, self._stage, priority)
            yield queue(self._stage, priority), message, self._patience
        yield EVENT_LOOP, self._heartbeats, self._patience + HEARTBEAT_SECONDS

    def _watch(self) -> None:
        try:
            self._look_on()
        except BaseException:
            log.exception("watchdog_broke")
        finally:
            end()  # also if it cannot look any more: then nobody would notice anything

    def _look_on(self) -> None:
        """Looks until there is something to see."""
        settings = self._connections.settings
        rest = threading.Event()  # that never comes
        due = monotonic()
        while not self.stuck():
            if monotonic() >= due:
                due += self._patience / LOOKS
                if (name := self.deaf_to()) is not None:
                    log.error("deaf", to=name, seconds=self._patience)
                    return
            beat(settings.heartbeat_file)
            # Not time.sleep, which sleeps until a time: under libfaketime there is none, and it raises OSError.
            rest.wait(LOOK_SECONDS)
        log.error("stuck", seconds=settings.max_run_seconds)
