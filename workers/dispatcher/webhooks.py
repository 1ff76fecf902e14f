"""Telling webhooks of events: one at a time for each webhook, many webhooks side by side."""

import threading
from time import monotonic
from uuid import UUID

import structlog
from sqlalchemy.exc import SQLAlchemyError

from shared import metrics, outgoing
from shared.database.session import autocommitting
from shared.pipeline.connections import Connections
from workers.dispatcher import outbox
from workers.dispatcher.post import Letter, post

log = structlog.get_logger()

# Webhooks served at the same time. More than a tenant may have, so that one whose receivers are all slow leaves room.
SIDE_BY_SIDE = 64
# Events that one webhook gets before others may have its place.
IN_A_ROW = 20


class Webhooks:
    """Knows which webhooks are being served. Each has a thread for as long as that takes, and holds up nobody else."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._trust = outgoing.trusted()
        self._busy: set[UUID] = set()
        self._changing = threading.Lock()

    def serve(self) -> int:
        """One round: begin with the webhooks that have something to be told. Returns how many; waits for none."""
        with self._changing:
            busy = set(self._busy)
        if len(busy) >= SIDE_BY_SIDE:
            return 0
        with autocommitting(self._connections.database) as connection:
            due = outbox.webhooks_due(connection, busy, SIDE_BY_SIDE - len(busy))
        for webhook in due:
            with self._changing:
                self._busy.add(webhook)
            # Nobody waits for it at the end: what it had in hand is sent again by the next dispatcher.
            threading.Thread(target=self._tell, args=(webhook,), daemon=True).start()
        return len(due)

    def forget(self) -> int:
        """One round: remove deliveries that nobody can look up any more. Returns how many."""
        with self._connections.database.begin() as connection:
            return outbox.forget(connection, self._connections.settings.webhook_kept_days)

    def _tell(self, webhook: UUID) -> None:
        try:
            for _ in range(IN_A_ROW):
                if not self._told_one(webhook):
                    break
        except SQLAlchemyError as error:
            # What was sent and not noted is sent again, when its claim runs out.
            log.warning("webhook_not_served", webhook=str(webhook), error=str(error))
        finally:
            with self._changing:
                self._busy.remove(webhook)

    def _told_one(self, webhook: UUID) -> bool:
        """Whether there was an event for the webhook and it arrived, so that the next one has a chance too."""
        settings = self._connections.settings
        with self._connections.database.begin() as connection:
            claim = outbox.claim(connection, webhook)
        if claim is None:
            return False
        letter = Letter(str(claim.id), claim.url, claim.secret, claim.payload)
        began = monotonic()
        answer = post(letter, settings.webhook_seconds, settings.fetch_private_addresses, self._trust)
        outcome = "delivered" if answer.error is None else "failed"
        metrics.WEBHOOK_SECONDS.labels(outcome).observe(monotonic() - began)
        with self._connections.database.begin() as connection:
            outbox.note(connection, claim, answer)
        if answer.error is not None:
            log.info("webhook_failed", webhook=str(webhook), delivery=letter.id, status=answer.status)
        return answer.error is None
