"""Two jobs, or two labels, compared."""

from http import HTTPStatus
from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from services.api.compared_sets import MOST_SAMPLED, ComparedSet, compared_set
from services.api.parts import parts
from services.api.problems import Problem, RequestError
from services.api.schemas import compare as schemas
from services.api.status import about_scores, bundle_name
from services.insights.comparison import FEWEST, Estimate, difference, higher

api = APIBlueprint(
    "compare", __name__, url_prefix="/v1", abp_tags=[Tag(name="insights", description="Sets as a whole.")]
)

DECIMALS = 6
NOTES = (
    "Each image counts once, with the mean of its faces; a photograph that was submitted twice counts twice, and one "
    "that is in both sets counts in both. Photographs of one person or of one series are taken for independent, so "
    "sets of few people seem surer than they are.",
    "Sets differ in more than what their names say: light, framing and who is in them. The difference is no cause.",
)


class MixedBundles(RequestError):
    """These scores are of different model bundles, and cannot be compared. Score one of the sets again first."""

    code = "mixed_bundles"
    status = HTTPStatus.CONFLICT


class SameSet(RequestError):
    """Both sides are the same set. Name two jobs, or two labels."""

    code = "same_set"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class TooFewPhotographs(RequestError):
    """A set has too few photographs with scores to say anything of the difference."""

    code = "too_few_photographs"
    status = HTTPStatus.CONFLICT


@api.post("/compare", summary="Compare two sets", responses={200: schemas.Comparison, 404: Problem, 409: Problem})
def compare(body: schemas.Sets) -> dict[str, Any]:
    """By how much the scores of two jobs, or of all jobs with two labels, differ, and how sure that is. Answers while
    jobs run, too: then about the faces that have scores by now. What-if jobs belong to no label.
    """
    if body.a == body.b:
        raise SameSet
    with parts().session(as_of_one_moment=True) as session:
        a, b = compared_set(session, body.a), compared_set(session, body.b)
    bundle = _one_bundle(a, b)
    for side in (a, b):
        if side.sample.photographs < FEWEST:
            raise TooFewPhotographs(
                f"'{side.called}' has {side.sample.photographs} photographs with scores; a comparison needs {FEWEST}."
            )
    apart, odds = difference(a.sample, b.sample), higher(a.scores, b.scores)
    notes = [*NOTES]
    if max(a.sample.photographs, b.sample.photographs) > MOST_SAMPLED:
        notes.append(f"The probability is worked out from a random sample of {MOST_SAMPLED:,} photographs of a set.")
    if about := about_scores(bundle):
        notes.insert(0, about)
    return schemas.Comparison(
        summary=summary(a, b, apart, odds),
        bundle=bundle_name(bundle),
        a=_side(a),
        b=_side(b),
        difference=schemas.Difference(**_rounded(apart), clear=_clear(apart)),
        higher=schemas.HigherScore(**_rounded(odds), photographs_a=len(a.scores), photographs_b=len(b.scores)),
        notes=notes,
    ).model_dump(mode="json")


def summary(a: ComparedSet, b: ComparedSet, apart: Estimate, odds: Estimate) -> str:
    """A comparison in words for people."""
    direction = "higher" if apart.value >= 0 else "lower"
    verdict = "" if _clear(apart) else ", which chance may have made"
    return (
        f"Photographs of '{a.called}' score {abs(apart.value):.3f} {direction} on average than those of '{b.called}'"
        f"{verdict}: {a.sample.mean:.3f} and {b.sample.mean:.3f}; the 95 % interval of the difference is "
        f"{apart.low:+.3f} to {apart.high:+.3f}. One of '{a.called}' scores higher than one of '{b.called}' in "
        f"{odds.value:.0%} of pairs ({odds.low:.0%} to {odds.high:.0%})."
    )


def _one_bundle(a: ComparedSet, b: ComparedSet) -> str:
    """The bundle of all scores; raises MixedBundles, naming those that there are."""
    bundles = sorted(a.bundles | b.bundles)
    if len(bundles) > 1:
        names = (f"{bundle_name(digest).name or 'unknown'} {digest[:12]}" for digest in bundles)
        raise MixedBundles(
            f"These scores are of different bundles, and cannot be compared: {', '.join(names)}. "
            "Score one of the sets again with the other's bundle first."
        )
    return bundles[0] if bundles else parts().bundle


def _clear(apart: Estimate) -> bool:
    return apart.low > 0 or apart.high < 0


def _side(side: ComparedSet) -> schemas.SetSummary:
    return schemas.SetSummary(
        job=side.wanted.job,
        label=side.wanted.label,
        jobs=side.jobs,
        faces=side.faces,
        photographs=side.sample.photographs,
        mean=round(side.sample.mean, DECIMALS),
        deviation=round(side.sample.variance**0.5, DECIMALS),
    )


def _rounded(estimate: Estimate) -> dict[str, float]:
    return {name: round(value, DECIMALS) for name, value in vars(estimate).items()}
