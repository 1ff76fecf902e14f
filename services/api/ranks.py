"""The place of scores among all scored faces of a job, exact, without reading the faces.

Everything is counted in the index on a job's scores. A page in the order of scores continues counting where the page
before it ended, as long as the set is the same; anything else is one pass over the index.
All scores of a job are of its one bundle, so there is nothing to tell apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Select, cast, func, select
from sqlalchemy.dialects.postgresql import ARRAY, REAL
from sqlalchemy.orm import Session

from shared.database.tables import Face, Job, JobCount


@dataclass(frozen=True)
class Place:
    """How many of the set's scored faces have a higher score, the same (itself included), and a lower one."""

    above: int
    same: int
    below: int

    @property
    def rank(self) -> int:
        """1 is the highest; equal scores share a rank."""
        return self.above + 1

    @property
    def percentile(self) -> float:
        """0..100: the share below, with half of those that have the same score."""
        return round(100 * (self.below + self.same / 2) / (self.above + self.same + self.below), 4)


@dataclass(frozen=True)
class Known:
    """What was counted for the page before: it ended at `score`, and `beside` scored faces come before that score."""

    score: float
    beside: int
    scored: int


def as_of(session: Session, job: Job) -> str | None:
    """A name of the set of scored faces of a job that has ended; None while it may grow.

    Faces get scores when their image succeeds, and go when it is deleted; so the set is another one only if the
    counters are, or if the job ran again.
    """
    if job.finished_at is None:
        return None
    rows = session.execute(
        select(JobCount.stage, JobCount.state, JobCount.images)
        .where(JobCount.job_id == job.id, JobCount.images > 0)
        .order_by(JobCount.stage, JobCount.state)
    )
    told = f"{job.finished_at.timestamp()} {[tuple(row) for row in rows]}"
    return sha256(told.encode()).hexdigest()[:16]


def scored_faces(session: Session, job: Job) -> int:
    """How many faces of a job have a score."""
    return session.scalar(select(func.count()).select_from(Face).where(*_scored(job))) or 0


def places(
    session: Session, job: Job, scores: Sequence[float], descending: bool | None, known: Known | None
) -> tuple[int, dict[float, Place]]:
    """The number of the job's scored faces, and the place of each of these scores.

    descending: the order of the list that they are a page of; None: an order that has nothing to do with scores.
    """
    if not scores:
        return (known.scored if known else scored_faces(session, job)), {}
    if descending is None:
        counts = _Counts(session, scores, _scored(job))
        return counts.all, {score: counts.place(score) for score in set(scores)}
    # Counted from where the page before ended, or from the list's beginning, to this page's end.
    between = [_until(min(scores) if descending else max(scores), descending)]
    if known:
        between.append(_until(known.score, not descending))
    counts = _Counts(session, scores, [*_scored(job), *between])
    scored = known.scored if known else scored_faces(session, job)
    beside = known.beside if known else 0
    found = {}
    for score in set(scores):
        place = counts.place(score)
        before = beside + (place.above if descending else place.below)
        after = scored - before - place.same
        found[score] = Place(before, place.same, after) if descending else Place(after, place.same, before)
    return scored, found


class _Counts:
    """How many of some faces lie below, at and above each of some scores, in one pass over them."""

    def __init__(self, session: Session, scores: Sequence[float], faces: Sequence[ColumnElement[bool]]) -> None:
        singles = np.unique(np.asarray(scores, dtype=np.float32))
        # Each score and the very next number: what lies between the two is what has that score.
        self._edges = np.unique(np.concatenate([singles, np.nextafter(singles, np.float32(np.inf))]))
        bucket = func.width_bucket(Face.score, cast([float(edge) for edge in self._edges], ARRAY(REAL)))
        query: Select[Any] = select(bucket, func.count()).select_from(Face).where(*faces).group_by(bucket)
        counts = np.zeros(len(self._edges) + 1, dtype=np.int64)
        for row in session.execute(query):
            counts[row[0]] = row[1]
        self._below = np.cumsum(counts)  # [i]: how many are below edges[i]
        self.all = int(counts.sum())

    def place(self, score: float) -> Place:
        at = int(np.searchsorted(self._edges, np.float32(score)))
        below, until = int(self._below[at]), int(self._below[at + 1])
        return Place(self.all - until, until - below, below)


def _scored(job: Job) -> list[ColumnElement[bool]]:
    return [Face.job_id == job.id, Face.score.is_not(None)]


def _until(score: float, descending: bool) -> ColumnElement[bool]:
    """Faces that come no later than this score in the order. Scores are compared as they are stored."""
    return Face.score >= cast(score, REAL) if descending else Face.score <= cast(score, REAL)
