"""Taking a job in: the job, its images and their counters, in the transaction that the client's 202 waits for."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import Connection, insert, text

from shared.database.session import drop_the_row
from shared.database.tables import Job, JobCount
from shared.errors import PermanentError
from shared.jobs.events import EventType, emit
from shared.jobs.states import FINAL, ImageState, Priority, Stage
from shared.jobs.uploads import SCHEME
from shared.jobs.wake import wake


@dataclass(frozen=True)
class NewJob:
    """What a client asks for. `id` is chosen before anything is stored, because it begins the object keys."""

    id: UUID
    captioner: str
    bundle: str
    name: str | None = None
    client_metadata: dict[str, Any] = field(default_factory=dict)
    tenant: str = "local"
    labels: list[str] = field(default_factory=list)
    priority: Priority = Priority.BULK
    deadline_seconds: int | None = None
    retention_seconds: int | None = None
    scores_only: bool = False


@dataclass(frozen=True)
class NewImage:
    """One image of a submission: uploaded already (`original_key`), to be fetched (`source_url`), or rejected.

    `line` says where it stands in a manifest, for the client; it is not kept.
    """

    name: str
    original_key: str | None = None
    source_url: str | None = None
    client_metadata: dict[str, Any] = field(default_factory=dict)
    rejected: PermanentError | None = None
    custom_id: str | None = None
    original_bytes: int | None = None
    content_digest: bytes | None = None
    line: int | None = None

    @property
    def stage(self) -> Stage:
        return Stage.INTAKE if self.source_url else Stage.DETECTION

    @property
    def state(self) -> ImageState:
        return ImageState.FAILED if self.rejected else ImageState.READY


@dataclass
class _Tally:
    """What was counted while the images went in."""

    counts: Counter[tuple[Stage, ImageState]] = field(default_factory=Counter)
    stored_bytes: int = 0
    uploads: bool = False

    def add(self, image: NewImage) -> None:
        self.counts[image.stage, image.state] += 1
        if image.original_key:
            self.stored_bytes += image.original_bytes or 0
        if image.source_url and image.source_url.startswith(SCHEME):
            self.uploads = True

    @property
    def unfinished(self) -> bool:
        return any(state not in FINAL for _, state in self.counts)


_COLUMNS = (
    "job_id, position, name, custom_id, client_metadata, source_url, original_key, original_bytes, content_digest, "
    "stage, state, reason, detail, finished_at"
)


def accept(
    connection: Connection, job: NewJob, images: Iterable[NewImage], described: Callable[[], NewJob] | None = None
) -> int:
    """Write a job and its images; the caller commits, and only then answers. Returns how many images there are.

    Images go in through COPY, in one pass: `images` may be a generator over any number of them. Where a submission may
    say what the job is only after its last image, `described` gives the job as it is known then; `job` needs to have
    no more than its id and tenant. A job without anything to do is completed at once.
    """
    connection.execute(insert(Job).values(_values(job)))
    now: datetime = connection.exec_driver_sql("select now()").scalar_one()
    tally = _copy(connection, job.id, images, now)
    if tally.counts:
        connection.execute(
            insert(JobCount),
            [
                {"job_id": job.id, "stage": stage, "state": state, "images": images_there}
                for (stage, state), images_there in sorted(tally.counts.items())
            ],
        )
    if described is not None:
        job = described()
    _settle(connection, job, tally)
    if tally.uploads:
        _bind_uploads(connection, job)
    wake(connection)
    return tally.counts.total()


def _values(job: NewJob) -> dict[str, Any]:
    return {
        "id": job.id,
        "tenant": job.tenant,
        "name": job.name,
        "client_metadata": job.client_metadata,
        "labels": job.labels,
        "priority": job.priority,
        "captioner": job.captioner,
        "bundle": job.bundle,
        "retention_seconds": job.retention_seconds,
        "scores_only": job.scores_only,
    }


def _copy(connection: Connection, job_id: UUID, images: Iterable[NewImage], now: datetime) -> _Tally:
    tally = _Tally()
    driver = connection.connection.driver_connection
    assert driver is not None  # a checked-out connection has one
    try:
        with driver.cursor() as cursor, cursor.copy(f"copy images ({_COLUMNS}) from stdin") as copy:
            for position, image in enumerate(images):
                tally.add(image)
                copy.write_row((job_id, position, *_row(image, now)))
    except psycopg.Error as error:
        drop_the_row(error)  # COPY goes past SQLAlchemy
        raise
    return tally


def _row(image: NewImage, now: datetime) -> tuple[object, ...]:
    """What `_COLUMNS` take of an image, after its job and its place there."""
    error = image.rejected
    return (
        image.name,
        image.custom_id,
        json.dumps(image.client_metadata) if image.client_metadata else "{}",
        image.source_url,
        image.original_key,
        image.original_bytes,
        image.content_digest if image.original_key else None,
        image.stage,
        image.state,
        error.code if error else None,
        error.detail if error else None,
        now if error else None,
    )


def _settle(connection: Connection, job: NewJob, tally: _Tally) -> None:
    """What is known only now: everything the job says about itself, its size, and whether there is anything to do."""
    connection.execute(
        text("""
            update jobs set name = :name, client_metadata = cast(:client_metadata as jsonb), labels = :labels,
                priority = :priority, captioner = :captioner, bundle = :bundle, scores_only = :scores_only,
                retention_seconds = cast(:retention_seconds as bigint), stored_bytes = :stored_bytes,
                deadline = now() + make_interval(secs => cast(:deadline_seconds as bigint)),
                state = case when :unfinished then state else 'completed' end,
                finished_at = case when not :unfinished then now() end,
                expires_at = case when not :unfinished
                    then now() + make_interval(secs => cast(:retention_seconds as bigint)) end
            where id = :id and state = 'running'
        """),
        {
            **_values(job),
            "client_metadata": json.dumps(job.client_metadata),
            "deadline_seconds": job.deadline_seconds,
            "stored_bytes": tally.stored_bytes,
            "unfinished": tally.unfinished,
        },
    )
    if not tally.unfinished:
        emit(connection, job.tenant, EventType.COMPLETED, job.id)


def _bind_uploads(connection: Connection, job: NewJob) -> None:
    """The uploads that the images name are this job's from now on. Intake fails those images whose upload is not."""
    connection.execute(
        text("""
            update uploads set job_id = :job
            where tenant = :tenant and job_id is null and expires_at > now() and id in (
                select cast(substr(source_url, :begin) as uuid) from images
                where job_id = :job and starts_with(source_url, :upload))
        """),
        {"job": job.id, "tenant": job.tenant, "upload": SCHEME, "begin": len(SCHEME) + 1},
    )
