"""Workers that run a job as far as a test wants it, and what they made of it."""

from collections import Counter
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from shared.jobs import delivery
from shared.jobs.accept import NewImage, NewJob, accept
from shared.jobs.states import Stage
from shared.jobs.sweep import take_back_undelivered
from shared.memorability.catalogue import find
from shared.pipeline.connections import Connections
from shared.pipeline.run_stage import Save, Work, run_stage
from shared.storage import keys
from tests.integration.conftest import counters_are_exact
from tests.photographs import portraits
from workers.captioning import task as captioning
from workers.detection import task as detection
from workers.embedding import task as embedding
from workers.scoring import task as scoring

STAGES = {
    Stage.DETECTION: detection,
    Stage.CAPTIONING: captioning,
    Stage.EMBEDDING: embedding,
    Stage.SCORING: scoring,
}
FIRST, SECOND = (content for _, content in portraits(2))


class Workers:
    """One worker of each kind, set up when it has its first work. `worked`: images that each of them was given."""

    def __init__(self, connections: Connections) -> None:
        self.connections = connections
        self.worked: Counter[Stage] = Counter()
        self._ready: dict[Stage, tuple[Work, Save]] = {}

    def finish(self, job: UUID) -> list[tuple[str, str]]:
        """Run a job to its end. Returns the stage and the state of its images, in their order."""
        while self.step(job):
            pass
        return self.images(job)

    def step(self, job: UUID, *stages: Stage) -> bool:
        """What waits at some stages, or at any; once."""
        some = False
        for stage in stages or STAGES:
            with self.connections.database.begin() as connection:
                connection.execute(text("update images set not_before = null"))
                connection.execute(text("update images set lease_expires_at = '-infinity' where state = 'dispatched'"))
                take_back_undelivered(connection)
                batches = delivery.admit(connection, job, stage, 16, 60)
            for batch in batches:
                some = True
                self.worked[stage] += len(batch.image_ids)
                work, save = self._of(stage)
                run_stage(self.connections, batch, work, save)
        return some

    def _of(self, stage: Stage) -> tuple[Work, Save]:
        if stage not in self._ready:
            self._ready[stage] = STAGES[stage].build(self.connections)
        return self._ready[stage]

    def images(self, job: UUID) -> list[tuple[str, str]]:
        return [(row.stage, row.state) for row in self.rows("images", job)]

    def rows(self, table: str, job: UUID) -> list[Any]:
        with self.connections.database.connect() as connection:
            assert counters_are_exact(connection)
            return list(
                connection.execute(text(f"select * from {table} where job_id = :job order by id"), {"job": job})
            )

    def stored(self, job: UUID) -> int:
        with self.connections.database.connect() as connection:
            return connection.execute(text("select stored_bytes from jobs where id = :job"), {"job": job}).scalar_one()


def submit(workers: Workers, *contents: bytes, captioner: str = "describer", **changes: Any) -> UUID:
    job = NewJob(uuid4(), captioner, **{"bundle": find("compact").digest, **changes})
    images = []
    for content in contents:
        key = keys.original(job.id, uuid4())
        workers.connections.objects.put(key, content)
        digest = sha256(content).digest()
        images.append(NewImage("a.jpg", key, original_bytes=len(content), content_digest=digest))
    with workers.connections.database.begin() as connection:
        accept(connection, job, images)
    return job.id


def change(workers: Workers, statement: str, **values: Any) -> None:
    with workers.connections.database.begin() as connection:
        connection.execute(text(statement), values)


SCORED = ("scoring", "succeeded")
SAME = ("position", "box", "crop_box", "landmarks", "confidence", "flags", "caption", "captioner", "encoders", "score",
        "uncertainty", "percentile", "bundle", "scored_at")  # fmt: skip


def facts(workers: Workers, job: UUID) -> list[tuple[Any, ...]]:
    return [tuple(getattr(face, column) for column in SAME) for face in workers.rows("faces", job)]


def reasons(workers: Workers, job: UUID) -> list[Any]:
    query = text("""
        select logit, constant, words, rows, columns, contributions, attention
        from explanations join faces on faces.id = face_id where job_id = :job order by face_id
    """)
    with workers.connections.database.connect() as connection:
        return [tuple(row) for row in connection.execute(query, {"job": job})]


def its_own(workers: Workers, job: UUID) -> None:
    """Everything that a job shows lies under its own prefix, and is there; and its bytes are counted."""
    objects = workers.connections.objects
    images = workers.rows("images", job)
    crops = [face.crop_key for face in workers.rows("faces", job)]
    derived = [image.photo_key for image in images] + crops
    assert all(key.startswith(keys.job(job)) for key in derived)
    assert sum(objects.size(key) for key in derived) == sum(image.derived_bytes for image in images)
    originals = sum(objects.size(image.original_key) for image in images)
    assert workers.stored(job) == originals + sum(image.derived_bytes for image in images)
