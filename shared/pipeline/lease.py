"""Keeping a batch while its work runs, and letting go of it when the work is stuck."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError

from shared.jobs import delivery
from shared.pipeline.connections import Connections
from shared.pipeline.watchdog import STUCK

log = structlog.get_logger()


@contextmanager
def renewed(connections: Connections, image_ids: Sequence[int], token: UUID) -> Iterator[Callable[[], None]]:
    """Renew the lease from a thread while the body runs; it calls what it is given when some of its work is done.

    Work that gets nothing done for `max_run_seconds` is stuck: nothing in this process can end it, so the process ends.
    Whoever started it starts it again, and the lease brings the images back.
    """
    settings = connections.settings
    over = threading.Event()
    deadline = monotonic() + settings.max_run_seconds

    def getting_on() -> None:
        nonlocal deadline
        deadline = monotonic() + settings.max_run_seconds

    def renew() -> None:
        held = True
        while not over.wait(settings.run_lease_seconds / 3):
            if monotonic() > deadline:
                log.error("stuck", token=str(token), seconds=settings.max_run_seconds)
                os._exit(STUCK)
            if not held:
                continue
            try:
                with connections.database.begin() as connection:
                    held = delivery.renew(connection, image_ids, token, settings.run_lease_seconds) > 0
            except SQLAlchemyError as error:
                log.warning("lease_not_renewed", error=str(error))
            if not held:
                log.warning("lease_lost", token=str(token))

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield getting_on
    finally:
        over.set()
        thread.join()
