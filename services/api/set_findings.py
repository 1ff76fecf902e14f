"""What the scored faces of a job show: read in one go, then worked out without a connection.

A job may have millions of faces. At most MOST_FACES are read, of photographs chosen by a hash of their ids: the same
ones whenever the job is asked about, and each photograph with all its scored faces.
"""

import json
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from threading import BoundedSemaphore, Lock
from time import monotonic
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Row, Select, Text, any_, cast, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY

from services.api import owned
from services.api.parts import parts
from services.api.problems import InsightsBusy
from services.insights.associations import associations
from services.insights.findings import Findings
from services.insights.scores import distribution
from services.insights.tally import FaceTerms, Tally
from services.insights.terms import Weight, terms_of
from shared.database.tables import Explanation, Face, Image, Job

# More would make intervals a little narrower and everybody wait: a thousand faces take about half a second of a core.
MOST_FACES = 5_000
SEED = 1  # of the hash that chooses photographs
# In each process. The work is on a core of the process that also answers everybody else.
MOST_AT_ONCE = 2
MOST_KEPT = 16  # findings of ended jobs; some megabytes each at most
# So long another process may tell what an image added that was deleted.
KEPT_SECONDS = 60
_RANDOM = func.hashint8extended(Face.image_id, SEED)
_IDS = ARRAY(BigInteger)


@dataclass(frozen=True)
class _Kept:
    """Findings, of which end of the job, and since when they are kept."""

    findings: Findings
    finished_at: datetime | None
    at: float


class SetFindings:
    """The findings of jobs: few are worked out at a time, and those of ended jobs are kept for a while.

    They change only by a retry, which ends the job anew, and where an image is deleted: the process that does it
    forgets them, the others soon.
    """

    def __init__(self) -> None:
        self._places = BoundedSemaphore(MOST_AT_ONCE)
        self._kept: OrderedDict[UUID, _Kept] = OrderedDict()
        self._lock = Lock()

    def of(self, job_id: UUID) -> tuple[Job, Findings]:
        """A job and what its faces show, all as of one moment. Raises NotFound and InsightsBusy."""
        with parts().session() as session:
            job = owned.job(session, job_id)
            session.expunge(job)
        found = self._recall(job)
        if found is not None:
            return job, found
        with self._place():
            job, scored, chosen, rows = _read(job_id)
            found = _findings(scored, chosen, rows)
        if job.finished_at is not None:
            self._keep(job, found)
        return job, found

    def forget(self, job_id: UUID) -> None:
        """Drop what is kept of a job, because something of it was deleted."""
        with self._lock:
            self._kept.pop(job_id, None)

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._places.acquire(blocking=False):
            raise InsightsBusy(limit="max_insights", maximum=MOST_AT_ONCE)
        try:
            yield
        finally:
            self._places.release()

    def drop_old(self) -> None:
        """Forget what is kept for longer than that. Words of captions are personal, and their job may be deleted."""
        oldest = monotonic() - KEPT_SECONDS
        with self._lock:
            for job_id in [job_id for job_id, kept in self._kept.items() if kept.at < oldest]:
                del self._kept[job_id]

    def _recall(self, job: Job) -> Findings | None:
        self.drop_old()
        with self._lock:
            kept = self._kept.get(job.id)
            return kept.findings if kept and kept.finished_at == job.finished_at else None

    def _keep(self, job: Job, found: Findings) -> None:
        with self._lock:
            self._kept[job.id] = _Kept(found, job.finished_at, monotonic())
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)


def _read(job_id: UUID) -> tuple[Job, int, dict[int, float], Sequence[Row[Any]]]:
    """The job, the number of its scored faces, the scores of the chosen ones by face, and all else of those.

    Connections are few: this one is given back before any of it is looked at.
    """
    with parts().session(as_of_one_moment=True) as session:
        job = owned.job(session, job_id)
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
