"""Doing rounds again and again, and noticing when those on which everything depends do not end any more."""

import threading
from collections.abc import Callable
from math import inf
from time import monotonic

import psycopg
import structlog
from sqlalchemy.exc import SQLAlchemyError

from shared import metrics
from shared.errors import TransientError
from shared.jobs.health import Presence
from shared.pipeline.connections import Connections
from shared.pipeline.watchdog import LOOK_SECONDS, beat, end

log = structlog.get_logger()

# A part that is away is asked no more often.
AWAY_SECONDS = 1.0

Ended = Callable[[bool], None]
"""Called at the end of each round; True if it could be done, or waits for a part that is away."""


class Vital:
    """Rounds that must go on. Where one does not end for `silent_dispatcher_seconds` it is stuck, and the process ends
    itself. As long as all are done, a connection to the database shows it.
    """

    def __init__(self, connections: Connections, names: tuple[str, ...]) -> None:
        self._settings = connections.settings
        self._presence = Presence(connections.database)
        self._ended = dict.fromkeys(names, monotonic())
        self._done = dict.fromkeys(names, -inf)
        self._shown = -inf

    def ended(self, name: str, well: bool) -> None:
        """A round of this name has just ended."""
        self._ended[name] = monotonic()
        if well:
            self._done[name] = monotonic()
            metrics.ROUND_TIME.labels(name).set_to_current_time()

    def stuck(self) -> str | None:
        """The name of a round that has not ended for too long, if there is one."""
        over = monotonic() - self._settings.silent_dispatcher_seconds
        return next((name for name, ended in self._ended.items() if ended < over), None)

    def show(self) -> None:
        """Let everybody see it, if all were done since the last time."""
        if min(self._done.values()) <= self._shown:
            return
        now = monotonic()
        try:
            self._presence.renew()
            self._shown = now
        except SQLAlchemyError as error:
            log.warning("presence_not_shown", error=str(error))

    def watch(self) -> None:
        """Do all this for ever, in a thread of its own."""
        pause = threading.Event()
        while not pause.wait(LOOK_SECONDS):
            if (name := self.stuck()) is not None:
                log.error("stuck", round=name, seconds=self._settings.silent_dispatcher_seconds)
                end()
            self.show()
            beat(self._settings.heartbeat_file)


def repeat(
    one_round: Callable[[], int],
    pause: float,
    stop: threading.Event,
    wait: Callable[[float], object] | None = None,
    ended: Ended = lambda well: None,
) -> None:
    """Rounds with pauses between them, without a pause where a round had something to do. Away parts are waited for.

    wait: how to pause, if other than until told to stop. If it cannot, the pause is the usual one.
    """
    while not stop.is_set():
        busy, away, well = False, False, True
        try:
            busy = one_round() > 0
        except (SQLAlchemyError, TransientError) as error:
            log.warning("round_failed", error=str(error))
            away, well = True, isinstance(error, TransientError)
        except Exception:  # A thread that ends in silence would leave its kind of work undone for ever.
            log.exception("round_broke")
            well = False
        ended(well)
        if away:
            stop.wait(max(pause, AWAY_SECONDS))
        elif not busy:
            try:
                (wait or stop.wait)(pause)
            except (SQLAlchemyError, psycopg.Error):
                stop.wait(pause)
