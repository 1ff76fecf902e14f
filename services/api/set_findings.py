"""What the scored faces of a job show: read in one go, then worked out without a connection.

A job may have millions of faces. At most MOST_FACES are read, of photographs chosen by a hash of their ids: the same
ones whenever the job is asked about, and each photograph with all its scored faces.
"""

import json
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from operator import attrgetter
from threading import BoundedSemaphore, Lock
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Row, Select, Text, any_, cast, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from services.api.parts import parts
from services.api.problems import InsightsBusy, NotFound
from services.insights.associations import associations
from services.insights.findings import Findings
from services.insights.scores import distribution
from services.insights.tally import FaceTerms, Tally
from services.insights.terms import Weight, terms_of
from shared.database.tables import Explanation, Face, Image, Job
from shared.jobs.states import JobState

# More would make intervals a little narrower and everybody wait: a thousand faces take about half a second of a core.
MOST_FACES = 5_000
SEED = 1  # of the hash that chooses photographs
# In each process. The work is on a core of the process that also answers everybody else.
MOST_AT_ONCE = 2
MOST_KEPT = 16  # findings of ended jobs; some megabytes each at most
_RANDOM = func.hashint8extended(Face.image_id, SEED)
_IDS = ARRAY(BigInteger)


class SetFindings:
    """The findings of jobs: few are worked out at a time, and those of ended jobs, which cannot change, are kept."""

    def __init__(self) -> None:
        self._places = BoundedSemaphore(MOST_AT_ONCE)
        self._kept: OrderedDict[UUID, Findings] = OrderedDict()
        self._lock = Lock()

    def of(self, job_id: UUID) -> tuple[Job, Findings]:
        """A job and what its faces show, all as of one moment. Raises NotFound and InsightsBusy."""
        with Session(parts().database) as session:
            job = _job(session, job_id)
            session.expunge(job)
        found = self._recall(job_id)
        if found is not None:
            return job, found
        with self._place():
            job, scored, chosen, rows = _read(job_id)
            found = _findings(scored, chosen, rows)
        if job.state != JobState.RUNNING:
            self._keep(job_id, found)
        return job, found

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._places.acquire(blocking=False):
            raise InsightsBusy
        try:
            yield
        finally:
            self._places.release()

    def _recall(self, job_id: UUID) -> Findings | None:
        with self._lock:
            if job_id in self._kept:
                self._kept.move_to_end(job_id)
            return self._kept.get(job_id)

    def _keep(self, job_id: UUID, found: Findings) -> None:
        with self._lock:
            self._kept[job_id] = found
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)


def _job(session: Session, job_id: UUID) -> Job:
    job = session.get(Job, job_id)
    if job is None:
        raise NotFound(f"There is no job {job_id}.")
    return job


def _read(job_id: UUID) -> tuple[Job, int, dict[int, float], Sequence[Row[Any]]]:
    """The job, the number of its scored faces, the scores of the chosen ones by face, and all else of those.

    Connections are few: this one is given back before any of it is looked at.
    """
    with Session(parts().database) as session:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        job = _job(session, job_id)
        scored = session.scalar(_scored(job).with_only_columns(func.count())) or 0
        chosen = _whole_photographs(session.execute(_sample(job)).all())
        rows = session.execute(_rows(list(chosen))).all()
        session.expunge(job)
    return job, scored, chosen, rows


def _scored(job: Job) -> Select[Any]:
    """The job's faces that have a score of the job's bundle: scores of different bundles are never compared."""
    query = select(Face.id).join(Image, Image.id == Face.image_id)
    return query.where(Image.job_id == job.id, Face.score.is_not(None), Face.bundle == job.bundle)


def _sample(job: Job) -> Select[Any]:
    """The faces of randomly chosen photographs, and one more than are wanted: it tells where the last one ends."""
    query = _scored(job).add_columns(Face.score, Face.image_id)
    return query.order_by(_RANDOM, Face.image_id, Face.position).limit(MOST_FACES + 1)


def _whole_photographs(rows: Sequence[Row[Any]]) -> dict[int, float]:
    """The scores of the faces by id, without a photograph that the limit cut."""
    cut = rows[MOST_FACES].image_id if len(rows) > MOST_FACES else None
    return {row.id: row.score for row in rows if row.image_id != cut}


def _rows(ids: list[int]) -> Select[Any]:
    """These faces with their captions, in random order of photographs, the faces of each together.

    Words come as the text that they are stored as, which is small; they are read one face at a time.
    """
    words = cast(Explanation.words, Text).label("words")
    query = select(Face.id, Face.image_id, Face.score, Face.caption, Face.captioner, Face.flags, words)
    query = query.outerjoin(Explanation, Explanation.face_id == Face.id).where(Face.id == any_(literal(ids, _IDS)))
    return query.order_by(_RANDOM, Face.image_id, Face.position)


def _findings(scored: int, chosen: dict[int, float], rows: Sequence[Row[Any]]) -> Findings:
    scores = list(chosen.values())
    flags: Counter[str] = Counter()
    captioners: Counter[tuple[str, str | None]] = Counter()
    tally = Tally(scores)
    for _, photograph in groupby(rows, key=attrgetter("image_id")):
        faces = list(photograph)
        tally.add([_face(row) for row in faces])
        for row in faces:
            flags.update(row.flags)
            captioners[_captioner(row.captioner or {})] += 1
    return Findings(scored, tally.all.photographs, distribution(scores), flags, captioners, associations(tally))


def _face(row: Row[Any]) -> FaceTerms:
    words = json.loads(row.words) if row.words else ()
    weights = [Weight(word["start"], word["end"], word["contribution"]) for word in words]
    return FaceTerms(row.id, row.score, terms_of(row.caption or "", weights))


def _captioner(who: dict[str, Any]) -> tuple[str, str | None]:
    """A captioner's name, and all else that makes captions differ."""
    version = " ".join(str(who[key]) for key in ("model", "digest", "prompt", "version") if who.get(key))
    return str(who.get("name", "unknown")), version or None
