"""`python -m workers.dispatcher`: lets work in, takes lost work back, closes finished jobs. Two at once do no harm."""

import signal
import threading

import structlog
from sqlalchemy.exc import SQLAlchemyError

from shared import logs
from shared.entry import run
from shared.errors import TransientError
from shared.pipeline.connections import Connections
from shared.settings import settings
from workers.dispatcher.dispatch import tick

log = structlog.get_logger()


def main() -> None:
    """Tick until told to stop. Postgres or storage away is waited for."""
    configured = settings()
    logs.configure(configured)
    connections = Connections.of(configured)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    log.info("dispatcher_ready")
    while not stop.is_set():
        try:
            busy = tick(connections) > 0
        except (SQLAlchemyError, TransientError) as error:
            log.warning("tick_failed", error=str(error))
            busy = False
        if not busy:
            stop.wait(configured.tick_seconds)


if __name__ == "__main__":
    run(main)
