"""For benchmarks.scale: a worker whose work takes a fixed time and computes nothing, as if a GPU did it; and its jobs.

Everything around the work is facemem's own: the Celery worker, claiming, leases, counters and messages. Images end at
this stage. STAGE_STAND_IN names the stage, STAGE_SECONDS says how long a batch takes.

python -m benchmarks.scale_stage --name NAME
"""

import os
from collections.abc import Sequence
from functools import partial
from io import BytesIO
from threading import Lock
from time import sleep
from uuid import UUID, uuid4

from PIL import Image
from sqlalchemy import Connection, Engine, text

from shared.entry import run
from shared.jobs.accept import NewImage, NewJob, accept
from shared.jobs.delivery import ClaimedImage
from shared.jobs.states import FINAL, Stage
from shared.pipeline.connections import Connections
from shared.pipeline.run_stage import Finished, Outcome, Save, Saved, Work
from shared.pipeline.worker import main

DIGEST = "0" * 64
CROP_KEY = "benchmark/crop.jpg"  # outside every job, so that it stays when a job is tidied up
CROP_PIXELS = 224
_MOVE_TO_CAPTIONING = (
    "update images set stage = 'captioning' where job_id = :job",
    "update job_counts set stage = 'captioning' where job_id = :job",
    """
    insert into faces (image_id, job_id, position, box, crop_box, landmarks, confidence, crop_key)
    select id, job_id, 0, '{20,20,204,204}', '{0,0,224,224}', '{80,90,144,90,112,125,88,160,136,160}', 0.99, :crop
    from images where job_id = :job
    """,
)


def build(connections: Connections) -> tuple[Work, Save]:
    """The stage's work, which waits, and its save, which has nothing to write."""
    seconds = float(os.environ["STAGE_SECONDS"])
    device = Lock()  # a worker may have several batches in hand, and its GPU computes one after the other

    def work(images: list[ClaimedImage], token: UUID) -> list[Outcome]:
        with device:
            sleep(seconds)
        return [Finished(image) for image in images]

    return work, _save


def _save(connection: Connection, outcomes: list[Saved]) -> None:
    """There are no outputs."""


def put_in(connections: Connections, stage: Stage, images: int) -> UUID:
    """Take in a job of so many images that wait at detection, or at captioning with one face each."""
    job = uuid4()
    with connections.database.begin() as connection:
        new = (NewImage(f"{number}.jpg", original_key=f"jobs/{job}/originals/{number}") for number in range(images))
        accept(connection, NewJob(job, "ollama", DIGEST), new)
        if stage == Stage.CAPTIONING:
            connections.objects.put(CROP_KEY, _crop())
            for statement in _MOVE_TO_CAPTIONING:
                connection.execute(text(statement), {"job": job, "crop": CROP_KEY})
    return job


def _crop() -> bytes:
    buffer = BytesIO()
    Image.effect_noise((CROP_PIXELS, CROP_PIXELS), 24).convert("RGB").save(buffer, "JPEG")
    return buffer.getvalue()


def through(database: Engine, stage: Stage, jobs: Sequence[UUID]) -> int:
    """How many images of these jobs have left a stage, by the jobs' counters."""
    query = text("""
        select coalesce(sum(images) filter (where state = 'failed'), 0) as failed,
            coalesce(sum(images) filter (where stage <> :stage or state = any(:final)), 0) as passed
        from job_counts where job_id = any(:jobs)
    """)
    with database.connect() as connection:
        counted = connection.execute(query, {"stage": stage, "final": [*map(str, FINAL)], "jobs": list(jobs)}).one()
    if counted.failed:
        raise RuntimeError(f"{counted.failed} images failed")
    return int(counted.passed)


if __name__ == "__main__":
    run(partial(main, Stage(os.environ["STAGE_STAND_IN"]), build))
