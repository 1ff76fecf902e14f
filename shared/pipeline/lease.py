"""Keeping a batch while its work runs, and letting go of it when the work is stuck."""

import _thread
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
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
                log.error("stuck", seconds=settings.max_run_seconds)
                os._exit(STUCK)
            if not held:
                continue
            try:
                with connections.database.begin() as connection:
                    held = delivery.renew(connection, image_ids, token, settings.run_lease_seconds) > 0
            except SQLAlchemyError as error:
                log.warning("lease_not_renewed", error=str(error))
            if not held and not over.is_set():
                log.warning("lease_lost")

    # Not by threading.Thread: its start waits for the thread to say that it runs, and so for ever if memory was too
    # short for it to come so far. Without a renewal the images are only done once more.
    _thread.start_new_thread(copy_context().run, (renew,))
    try:
        yield getting_on
    finally:
        over.set()
