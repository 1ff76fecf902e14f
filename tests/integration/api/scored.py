"""Jobs with scored faces, put there as the workers would."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Engine, insert, select, text, update

from shared.database.tables import Explanation, Face, Image, Job
from shared.jobs.accept import NewImage, NewJob, accept
from tests.integration.conftest import DIGEST

WHERE: dict[str, Any] = {"box": [1, 2, 3, 4], "crop_box": [0] * 4, "landmarks": [0] * 10, "confidence": 0.9}
DESCRIBER = {"name": "describer", "version": "5"}


def scored_job(
    database: Engine,
    photographs: Sequence[Sequence[float | dict[str, Any] | None]],
    *,
    ended: bool = True,
    explained: bool = False,
    images: Sequence[dict[str, Any]] = (),
    bundle: str = DIGEST,
    tenant: str = "local",
    **columns: Any,
) -> UUID:
    """A job with an image for each list of faces. A face is a score, or columns; `images` are columns of images.

    An image with faces has succeeded, one without was skipped.
    """
    job = NewJob(uuid4(), "describer", bundle, tenant=tenant)
    with database.begin() as connection:
        accept(connection, job, (NewImage(f"{n}.jpg", original_key=f"o/{n}") for n in range(len(photographs))))
        ids = connection.scalars(select(Image.id).where(Image.job_id == job.id).order_by(Image.position)).all()
        for image, faces in zip(ids, photographs, strict=True):
            end = {"state": "succeeded", "stage": "scoring"} if faces else {"state": "skipped", "reason": "no_face"}
            connection.execute(update(Image).where(Image.id == image).values(**end))
            add_faces(connection, job.id, image, faces, bundle, explained)
        for image, changes in ((image, changes) for image, changes in zip(ids, images, strict=False) if changes):
            connection.execute(update(Image).where(Image.id == image).values(**changes))
        recount(connection, job.id)
        if ended:
            columns = {"state": "completed", "finished_at": text("now()"), **columns}
        if columns:
            connection.execute(update(Job).where(Job.id == job.id).values(**columns))
    return job.id


def add_faces(
    connection: Any, job: UUID, image: int, faces: Sequence[Any], bundle: str = DIGEST, explained: bool = False
) -> list[int]:
    """Faces of one image, with explanations of one word each if wished."""
    made = []
    for position, each in enumerate(faces):
        columns = each if isinstance(each, dict) else {"score": each}
        face = {
            "image_id": image, "job_id": job, "position": position, "crop_key": f"jobs/{job}/crops/{image}-{position}",
            "caption": "a smile", "captioner": DESCRIBER, "uncertainty": 0.1, "percentile": 50.0, **WHERE,
            "bundle": None if columns.get("score") is None else bundle, **columns,
        }  # fmt: skip
        made.append(connection.scalar(insert(Face).values(**face).returning(Face.id)))
        if explained and columns.get("score") is not None:
            words = [{"text": "a", "start": 0, "end": 1, "contribution": -0.1},
                     {"text": "smile", "start": 2, "end": 7, "contribution": 0.3}]  # fmt: skip
            regions = {"rows": 1, "columns": 1, "contributions": b"\0" * 8, "attention": b"\0" * 8}
            why = {"face_id": made[-1], "logit": 0, "constant": 0, "words": words, **regions}
            connection.execute(insert(Explanation).values(**why))
    return made


def recount(connection: Any, job: UUID) -> None:
    """Makes the counters of a job what they should be."""
    connection.execute(text("delete from job_counts where job_id = :job"), {"job": job})
    connection.execute(
        text("""
            insert into job_counts
            select job_id, stage, state, count(*) from images where job_id = :job group by 1, 2, 3
        """),
        {"job": job},
    )
