"""Keeping a batch while its work runs."""

import _thread
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError

from shared.jobs import delivery
from shared.pipeline.connections import Connections

log = structlog.get_logger()


@contextmanager
def renewed(connections: Connections, image_ids: Sequence[int], token: UUID) -> Iterator[None]:
    """Renew the lease from a thread while the body runs."""
    seconds = connections.settings.run_lease_seconds
    over = threading.Event()

    def renew() -> None:
        held = True
        while held and not over.wait(seconds / 3):
            try:
                with connections.database.begin() as connection:
                    held = delivery.renew(connection, image_ids, token, seconds) > 0
            except SQLAlchemyError as error:
                log.warning("lease_not_renewed", error=str(error))
        if not held and not over.is_set():
            log.warning("lease_lost")

    # Not by threading.Thread: its start waits for the thread to say that it runs, and so for ever if memory was too
    # short for it to come so far. Without a renewal the images are only done once more.
    _thread.start_new_thread(copy_context().run, (renew,))
    try:
        yield
    finally:
        over.set()
