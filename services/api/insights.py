"""Insights: which words and attributes go with high and low scores of a job, as numbers and as a picture.

A job may have millions of faces. At most MOST_FACES are read, of photographs chosen by a hash of their ids: the same
ones whenever the job is asked about. They come through a cursor on the server, so the memory this takes does not depend
on the job.
"""

from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from itertools import groupby
from operator import attrgetter
from typing import Any
from uuid import UUID

from flask import Response, send_file, url_for
from flask_openapi3 import APIBlueprint, Tag
from sqlalchemy import BigInteger, Row, Select, any_, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from services.api import insight_schemas as schemas
from services.api.parts import parts
from services.api.problems import NotFound, Problem
from services.api.schemas import JobPath
from services.api.status import bundle_name
from services.insights.associations import FEWEST, associations
from services.insights.findings import NOTES, Findings
from services.insights.picture import draw
from services.insights.scores import Scores, distribution
from services.insights.tally import FaceTerms, Tally
from services.insights.terms import Weight, terms_of
from shared.database.tables import Explanation, Face, Image, Job
from shared.jobs.states import JobState

api = APIBlueprint(
    "insights", __name__, url_prefix="/v1", abp_tags=[Tag(name="insights", description="Sets as a whole.")]
)

# More would make intervals a little narrower and everybody wait: a thousand faces take about half a second of a core.
MOST_FACES = 5_000
SEED = 1  # of the hash that chooses photographs
FETCHED_AT_ONCE = 200  # rows; a row is a caption and its words, some kilobytes
DECIMALS = 6
_RANDOM = func.hashint8extended(Face.image_id, SEED)
_IDS = ARRAY(BigInteger)


@api.get(
    "/jobs/<uuid:job_id>/insights",
    summary="See which words go with high and low scores",
    responses={200: schemas.Insights, 404: Problem},
)
def show(path: JobPath, query: schemas.InsightsQuery) -> dict[str, Any]:
    """Words and attributes of the captions ("broad smile"), with counts, differences and intervals. Those are told that
    survive a control of the false discovery rate, the others with `all=true`. Answers while the job runs, too.
    """
    job, findings = _find(path.job_id)
    return _answer(job, findings, query.all).model_dump(mode="json")


@api.get(
    "/jobs/<uuid:job_id>/insights/picture",
    summary="See the same as a picture",
    responses={200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}, 404: Problem},
)
def picture(path: JobPath) -> Response:
    """A PNG: the distribution of scores, and below it the words with their differences and intervals."""
    job, findings = _find(path.job_id)
    name = job.name or f"Job {str(job.id)[:8]}"
    buffer = BytesIO()
    draw(findings, name, running=job.state == JobState.RUNNING).save(buffer, "PNG")
    buffer.seek(0)
    answer = send_file(buffer, mimetype="image/png")
    # It changes while the job runs, and the words of captions are personal.
    answer.headers["Cache-Control"] = "private, no-cache"
    return answer


def _find(job_id: UUID) -> tuple[Job, Findings]:
    """A job and what its faces show, all as of one moment. Raises NotFound."""
    with Session(parts().database, expire_on_commit=False) as session:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        job = session.get(Job, job_id)
        if job is None:
            raise NotFound(f"There is no job {job_id}.")
        scored = session.scalar(_scored(job).with_only_columns(func.count())) or 0
        chosen = {face.id: face.score for face in session.execute(_sample(job))}
        scores = list(chosen.values())
        flags: Counter[str] = Counter()
        captioners: Counter[tuple[str, str | None]] = Counter()
        tally = Tally(scores)
        for _, photograph in groupby(_rows(session, list(chosen)), key=attrgetter("image_id")):
            faces = list(photograph)
            tally.add([_face(row) for row in faces])
            for row in faces:
                flags.update(row.flags)
                captioners[_captioner(row.captioner or {})] += 1
    return job, Findings(scored, tally.all.photographs, distribution(scores), flags, captioners, associations(tally))


def _scored(job: Job) -> Select[Any]:
    """The job's faces that have a score of the job's bundle: scores of different bundles are never compared."""
    query = select(Face.id).join(Image, Image.id == Face.image_id)
    return query.where(Image.job_id == job.id, Face.score.is_not(None), Face.bundle == job.bundle)


def _sample(job: Job) -> Select[Any]:
    """The ids and scores of at most MOST_FACES faces, of randomly chosen photographs."""
    query = _scored(job).add_columns(Face.score)
    return query.order_by(_RANDOM, Face.image_id, Face.position).limit(MOST_FACES)


def _rows(session: Session, ids: list[int]) -> Iterator[Row[Any]]:
    """These faces with their captions, in random order of photographs, the faces of each together."""
    query = select(Face.id, Face.image_id, Face.score, Face.caption, Face.captioner, Face.flags, Explanation.words)
    query = query.outerjoin(Explanation, Explanation.face_id == Face.id).where(Face.id == any_(literal(ids, _IDS)))
    query = query.order_by(_RANDOM, Face.image_id, Face.position)
    return iter(session.execute(query.execution_options(yield_per=FETCHED_AT_ONCE)))


def _face(row: Row[Any]) -> FaceTerms:
    weights = [Weight(word["start"], word["end"], word["contribution"]) for word in row.words or ()]
    return FaceTerms(row.id, row.score, terms_of(row.caption or "", weights))


def _captioner(who: dict[str, Any]) -> tuple[str, str | None]:
    """A captioner's name, and all else that makes captions differ."""
    version = " ".join(str(who[key]) for key in ("model", "digest", "prompt", "version") if who.get(key))
    return str(who.get("name", "unknown")), version or None


def _answer(job: Job, findings: Findings, everything: bool) -> schemas.Insights:
    found = findings.associations
    running = job.state == JobState.RUNNING
    return schemas.Insights(
        job=job.id,
        state=JobState(job.state),
        bundle=bundle_name(job.bundle),
        faces=schemas.SetSize(used=findings.used, scored=findings.scored, photographs=findings.photographs),
        scores=_distribution(findings.scores),
        flags=dict(sorted(findings.flags.items())),
        captioners=[
            schemas.CaptionerCount(name=name, version=version, faces=faces)
            for (name, version), faces in sorted(findings.captioners.items(), key=lambda each: -each[1])
        ],
        high=_told([each for each in found.clear if each.difference > 0]),
        low=_told([each for each in reversed(found.clear) if each.difference <= 0]),
        others=_told(found.others) if everything else None,
        compared=len(found.clear) + len(found.others),
        too_rare=found.too_rare,
        fewest=FEWEST,
        warnings=findings.warnings(running),
        notes=list(NOTES),
        links={
            "self": url_for("insights.show", job_id=job.id),
            "picture": url_for("insights.picture", job_id=job.id),
            "job": url_for("jobs.show", job_id=job.id),
        },
    )


def _told(found: list[Any]) -> list[schemas.Association]:
    return [schemas.Association(**_rounded(vars(each))) for each in found]


def _distribution(scores: Scores | None) -> schemas.ScoreDistribution | None:
    if scores is None:
        return None
    fields = _rounded(vars(scores))
    edges, counts = fields.pop("edges"), fields.pop("counts")
    bins = [
        schemas.Bin(low=low, high=high, faces=faces)
        for low, high, faces in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    return schemas.ScoreDistribution(**fields, bins=bins)


def _rounded(fields: dict[str, Any]) -> dict[str, Any]:
    """With numbers of as many digits as people read: stored scores have no more than seven."""

    def short(value: Any) -> Any:
        if isinstance(value, tuple):
            return [short(each) for each in value]
        return round(value, DECIMALS) if isinstance(value, float) else value

    return {name: short(value) for name, value in fields.items()}
