"""Deleting, and who did what."""

import time
from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from services.api.schemas.audit import AuditEntry, AuditPage
from services.api.schemas.deletions import Deletion, Deletions
from services.client.topic import Topic

LOOK_SECONDS = 0.5


class Removal(Topic):
    """Deletions and the audit log."""

    def delete_job(self, job_id: UUID | str) -> Deletion:
        """Deletes a job with all that is known of its images, also in mid-run, and those that score its faces again.

        What it answers is the receipt: rows are gone by then, objects go in the background.
        """
        return self._calls.delete(f"/v1/jobs/{job_id}", Deletion)

    def delete_image(self, image_id: int) -> Deletion:
        """Deletes one image with all that is known of it."""
        return self._calls.delete(f"/v1/images/{image_id}", Deletion)

    def deletion(self, deletion_id: UUID | str, *, wait_seconds: float = 0.0) -> Deletion:
        """A receipt; with `wait_seconds` once the objects are removed, or the time is over."""
        until = time.monotonic() + wait_seconds
        while True:
            receipt = self._calls.get(f"/v1/deletions/{deletion_id}", Deletion)
            if receipt.removed_at is not None or time.monotonic() >= until:
                return receipt
            time.sleep(LOOK_SECONDS)

    def deletions(self) -> Iterator[Deletion]:
        """All receipts, the latest first."""
        for page in self._calls.pages("/v1/deletions", Deletions):
            yield from page.deletions

    def audit(
        self, *, action: str | None = None, subject: str | None = None, since: datetime | None = None
    ) -> Iterator[AuditEntry]:
        """Who did what, the latest first."""
        query = {"action": action, "subject": subject, "since": since and since.isoformat()}
        for page in self._calls.pages("/v1/audit", AuditPage, **query):
            yield from page.entries
