"""How far jobs are, and what can be done with one on its way."""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

import httpx

from services.api.schemas import JobStatus
from services.api.schemas.status import FailureCount, Failures, JobsPage, Retry
from services.client import errors, event_stream
from services.client.topic import Topic
from shared.jobs.states import OPEN, JobState

# Until then the service keeps a question open whose answer has not changed.
WAIT_SECONDS = 30
WAIT_TIMEOUT = httpx.Timeout(WAIT_SECONDS + 30.0, connect=5.0)
# Between two questions, so that a job that moves all the time is not asked for all the time.
PACE_SECONDS = 0.5
# A service that is restarted answers again within seconds; a job that is watched for hours should survive that.
PATIENCE_SECONDS = 60.0


class Watching(Topic):
    """Status and control of jobs."""

    def job(self, job_id: UUID | str) -> JobStatus:
        """How far a job is."""
        return self._calls.get(f"/v1/jobs/{job_id}", JobStatus)

    def jobs(
        self,
        *,
        ids: Sequence[UUID | str] = (),
        states: Sequence[JobState | str] = (),
        labels: Sequence[str] = (),
        priority: str | None = None,
        name: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        idempotency_key: str | None = None,
    ) -> Iterator[JobStatus]:
        """The jobs that all of this fits, newest first, page after page. A job has to have all of the labels."""
        query: dict[str, Any] = {
            "id": [str(each) for each in ids],
            "state": list(states),
            "label": list(labels),
            "priority": priority,
            "name": name,
            "created_after": created_after and created_after.isoformat(),
            "created_before": created_before and created_before.isoformat(),
            "idempotency_key": idempotency_key,
        }
        for page in self._calls.pages("/v1/jobs", JobsPage, **query):
            yield from page.jobs

    def watch(self, job_id: UUID | str, seconds: float = PACE_SECONDS) -> Iterator[JobStatus]:
        """The status of a job, at once and then whenever it has changed, until the job has ended.

        Asks again after `seconds` at the soonest; while nothing changes, the service keeps the question open. A job
        that is paused is waited for too. Outlasts a restart of the service.
        """
        tag: str | None = None
        answered = time.monotonic()
        while True:
            asked = time.monotonic()
            try:
                status, tag, pause = self._changed(job_id, tag)
            except (errors.Unreachable, errors.ApiError) as error:
                passing = isinstance(error, errors.Unreachable) or error.status == HTTPStatus.SERVICE_UNAVAILABLE
                if not passing or time.monotonic() - answered > PATIENCE_SECONDS:
                    raise
                status, pause = None, seconds
            else:
                answered = time.monotonic()
            if status is not None:
                yield status
                if status.state not in OPEN:
                    return
            time.sleep(max(0.0, max(seconds, pause) - (time.monotonic() - asked)))

    def events(self, job_id: UUID | str) -> Iterator[JobStatus]:
        """The same as `watch`, told by the service as it happens; where the stream breaks off it is taken up again."""
        last: str | None = None
        answered = time.monotonic()
        while True:
            try:
                for event in event_stream.read(self._calls, f"/v1/jobs/{job_id}/events", last):
                    answered, last = time.monotonic(), event.id or last
                    if event.type == "end":
                        return
                    if event.type == "status":
                        yield self._calls.parsed(event.data, HTTPStatus.OK, JobStatus)
            except (errors.Unreachable, errors.ApiError) as error:
                passing = isinstance(error, errors.Unreachable) or error.status == HTTPStatus.SERVICE_UNAVAILABLE
                if not passing or time.monotonic() - answered > PATIENCE_SECONDS:
                    raise
            time.sleep(PACE_SECONDS)

    def pause(self, job_id: UUID | str) -> JobStatus:
        """Lets nothing more of a job in; what is in work is finished at its stage."""
        return self._calls.post(f"/v1/jobs/{job_id}/pause", JobStatus, repeatable=True)

    def resume(self, job_id: UUID | str) -> JobStatus:
        """Lets a paused job go on."""
        return self._calls.post(f"/v1/jobs/{job_id}/resume", JobStatus, repeatable=True)

    def cancel(self, job_id: UUID | str) -> JobStatus:
        """Withdraws a job. Images that are finished keep their results."""
        return self._calls.post(f"/v1/jobs/{job_id}/cancel", JobStatus, repeatable=True)

    def failures(self, job_id: UUID | str) -> list[FailureCount]:
        """Why images of a job failed: how many for each reason, and how many of these can be tried again."""
        return self._calls.get(f"/v1/jobs/{job_id}/failures", Failures).reasons

    def retry(self, job_id: UUID | str, reasons: Sequence[str] = (), *, preview: bool = False) -> Retry:
        """Tries images that failed again: those that failed for one of these reasons, or all. With `preview` it only
        says how many that would be.
        """
        sent = {"reasons": list(reasons)} if reasons else {}
        query = {"dry_run": "true"} if preview else {}
        return self._calls.post(f"/v1/jobs/{job_id}/retry", Retry, lambda: {"json": sent}, query=query)

    def rescore(self, job_id: UUID | str, bundle: str) -> JobStatus:
        """Scores the faces of a job that has ended again, with the bundle of that name or digest, as a new job."""
        path, timeout = f"/v1/jobs/{job_id}/rescore", httpx.Timeout(600.0, connect=5.0)
        return self._calls.post(path, JobStatus, lambda: {"json": {"bundle": bundle}}, timeout=timeout)

    def _changed(self, job_id: UUID | str, tag: str | None) -> tuple[JobStatus | None, str | None, float]:
        """A job's status, once it differs from that of this tag; None if it does not for long. With its tag, and the
        seconds that the service asks to be left alone.
        """
        path, headers = f"/v1/jobs/{job_id}", {"If-None-Match": tag} if tag else {}
        query = {"wait": WAIT_SECONDS} if tag else {}
        asked = time.monotonic()
        response = self._calls.request("GET", path, query=query, headers=headers, timeout=WAIT_TIMEOUT)
        if response.status_code == HTTPStatus.NOT_MODIFIED:
            # Answered at once although nothing has changed: too many wait at the same time.
            busy = time.monotonic() - asked < WAIT_SECONDS / 2
            return None, tag, (errors.retry_after(response) or 1.0) if busy else 0.0
        status = self._calls.parsed(response.content, response.status_code, JobStatus)
        return status, response.headers.get("ETag"), 0.0
