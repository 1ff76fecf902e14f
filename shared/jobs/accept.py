"""Taking a job in: the job, its images and their counters, in the transaction that the client's 202 waits for."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, insert

from shared.database.tables import Job, JobCount
from shared.errors import PermanentError
from shared.jobs.states import ImageState, Stage


@dataclass(frozen=True)
class NewJob:
    """What a client asks for. `id` is chosen before anything is stored, because it begins the object keys."""

    id: UUID
    captioner: str
    bundle: str
    name: str | None = None
    client_metadata: dict[str, Any] = field(default_factory=dict)
    tenant: str = "local"


@dataclass(frozen=True)
class NewImage:
    """One image of a submission: uploaded already (`original_key`), to be fetched (`source_url`), or rejected."""

    name: str
    original_key: str | None = None
    source_url: str | None = None
    client_metadata: dict[str, Any] = field(default_factory=dict)
    rejected: PermanentError | None = None

    @property
    def stage(self) -> Stage:
        return Stage.INTAKE if self.source_url else Stage.DETECTION

    @property
    def state(self) -> ImageState:
        return ImageState.FAILED if self.rejected else ImageState.READY


_COLUMNS = (
    "job_id, position, name, client_metadata, source_url, original_key, stage, state, reason, detail, finished_at"
)


def accept(connection: Connection, job: NewJob, images: Iterable[NewImage]) -> int:
    """Write a job and its images; the caller commits, and only then answers. Returns how many images there are.

    Images go in through COPY, in one pass: `images` may be a generator over any number of them.
    """
    connection.execute(
        insert(Job).values(
            id=job.id,
            tenant=job.tenant,
            name=job.name,
            client_metadata=job.client_metadata,
            captioner=job.captioner,
            bundle=job.bundle,
        )
    )
    now: datetime = connection.exec_driver_sql("select now()").scalar_one()
    counts: Counter[tuple[Stage, ImageState]] = Counter()
    driver = connection.connection.driver_connection
    assert driver is not None  # a checked-out connection has one
    with driver.cursor() as cursor, cursor.copy(f"copy images ({_COLUMNS}) from stdin") as copy:
        for position, image in enumerate(images):
            counts[image.stage, image.state] += 1
            error = image.rejected
            copy.write_row(
                (
                    job.id,
                    position,
                    image.name,
                    json.dumps(image.client_metadata),
                    image.source_url,
                    image.original_key,
                    image.stage,
                    image.state,
                    error.code if error else None,
                    error.detail if error else None,
                    now if error else None,
                )
            )
    if counts:
        connection.execute(
            insert(JobCount),
            [
                {"job_id": job.id, "stage": stage, "state": state, "images": images_there}
                for (stage, state), images_there in counts.items()
            ],
        )
    return counts.total()
