"""Reading two sets to compare: sums are made by Postgres, and of the scores themselves only a bounded sample is read.

The unit is the photograph: its scored faces are averaged to one value.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Select, cast, exists, func, select
from sqlalchemy.orm import Session

from services.api import owned
from services.api.caller import caller
from services.api.problems import NotFound
from services.api.schemas.compare import SetWanted
from services.insights.comparison import Sample
from shared.database.tables import Face, Job

# Of the photographs whose scores are read. The interval of a probability from so many is about +/- 0.01.
MOST_SAMPLED = 5_000
SEED = 2  # of the hash that chooses them


@dataclass(frozen=True)
class ComparedSet:
    """One side of a comparison. `bundles`: of all its scores. `scores`: of its photographs, or of a sample of them."""

    wanted: SetWanted
    called: str
    jobs: int
    bundles: frozenset[str]
    faces: int
    sample: Sample
    scores: list[float]


def compared_set(session: Session, wanted: SetWanted) -> ComparedSet:
    """A set, in memory that does not depend on its size. Raises NotFound."""
    called, jobs = _jobs(session, wanted)
    ids = [job.id for job in jobs]
    photographs = _photographs(ids).subquery()
    score = photographs.c.score
    sums = select(
        func.coalesce(cast(func.sum(photographs.c.faces), BigInteger), 0),
        func.count(),
        func.coalesce(func.avg(score), 0.0),
        func.coalesce(func.var_samp(score), 0.0),
    )
    found: Any = session.execute(sums).one()
    faces, number, mean, variance = found
    sampled = _photographs(ids).order_by(func.hashint8extended(Face.image_id, SEED), Face.image_id)
    rows = session.execute(sampled.limit(MOST_SAMPLED))
    # A job's scores are all of its bundle; one without scores adds nothing that could not be compared.
    scored = exists().where(Face.job_id == Job.id, Face.score.is_not(None))
    bundles = frozenset(session.scalars(select(Job.bundle).distinct().where(Job.id.in_(ids), scored)))
    return ComparedSet(
        wanted, called, len(jobs), bundles, faces, Sample(number, mean, variance), [row.score for row in rows]
    )


def _photographs(job_ids: list[UUID]) -> Select[Any]:
    scored = select(func.count().label("faces"), func.avg(Face.score).label("score"))
    return scored.where(Face.job_id.in_(job_ids), Face.score.is_not(None)).group_by(Face.image_id)


def _jobs(session: Session, wanted: SetWanted) -> tuple[str, list[Job]]:
    """What the set is called, and its jobs."""
    if wanted.job is not None:
        job = owned.job(session, wanted.job)
        return job.name or f"job {str(job.id)[:8]}", [job]
    query = select(Job).where(Job.tenant == caller().tenant, Job.labels.contains([wanted.label]), ~Job.what_if)
    jobs = list(session.scalars(query))
    if not jobs:
        raise NotFound(f"There is no job with the label '{wanted.label}'.")
    return wanted.label or "", jobs
