"""Insights: which words and attributes go with high and low scores of a job, as numbers and as a picture."""

from io import BytesIO
from typing import Any
from uuid import UUID

from flask import Response, current_app, send_file, url_for
from flask_openapi3 import APIBlueprint, Tag

from services.api.problems import Problem
from services.api.schemas import JobPath
from services.api.schemas import insights as schemas
from services.api.set_findings import SetFindings
from services.api.status import about_scores, bundle_name
from services.insights.associations import FEWEST
from services.insights.findings import NOTES, Findings
from services.insights.picture import draw
from services.insights.scores import Scores
from shared.database.tables import Job
from shared.jobs.states import JobState

api = APIBlueprint(
    "insights", __name__, url_prefix="/v1", abp_tags=[Tag(name="insights", description="Sets as a whole.")]
)

DECIMALS = 6


@api.get(
    "/jobs/<uuid:job_id>/insights",
    summary="See which words go with high and low scores",
    responses={200: schemas.Insights, 404: Problem, 503: Problem},
)
def show(path: JobPath, query: schemas.InsightsQuery) -> dict[str, Any]:
    """Words and attributes of the captions ("broad smile"), with counts, differences and intervals. Those are told that
    survive a control of the false discovery rate, the others with `all=true`. Answers while the job runs, too. 503 with
    `insights_busy`: others are being worked out; ask again.
    """
    job, findings = _find(path.job_id)
    return _answer(job, findings, query.all).model_dump(mode="json")


@api.get(
    "/jobs/<uuid:job_id>/insights/picture",
    summary="See the same as a picture",
    responses={
        200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}},
        404: Problem,
        503: Problem,
    },
)
def picture(path: JobPath) -> Response:
    """A PNG: the distribution of scores, and below it the words with their differences and intervals."""
    job, findings = _find(path.job_id)
    name = job.name or f"Job {str(job.id)[:8]}"
    drawn = draw(findings, name, about_scores(job.bundle), running=job.state == JobState.RUNNING)
    buffer = BytesIO()
    drawn.save(buffer, "PNG")
    buffer.seek(0)
    answer = send_file(buffer, mimetype="image/png")
    # It changes while the job runs, and the words of captions are personal.
    answer.headers["Cache-Control"] = "private, no-cache"
    return answer


def _find(job_id: UUID) -> tuple[Job, Findings]:
    kept: SetFindings = current_app.extensions["facemem_findings"]
    return kept.of(job_id)


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
        notes=[note for note in (about_scores(job.bundle), *NOTES) if note],
        links={
            "self": url_for("insights.show", job_id=job.id),
            "picture": url_for("insights.picture", job_id=job.id),
            "job": url_for("watch.show", job_id=job.id),
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
