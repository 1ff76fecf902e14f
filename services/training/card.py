"""The model card: what a bundle was made from, how well it does, and what it must not be taken for."""

from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from typing import Any

from services.training.datasets.data_set import DataSet
from services.training.recipes import Recipe

SUMMARY = "Text queries attend over image patches; the logit splits exactly into one number for each (word, region)."
EXPLAINS = (
    "It explains a modest part of the differences between faces; see the correlation beside the human ceiling. Use it "
    "to sort many faces, never to judge one person.",
    "Groups differ in mean rating and in how well they are predicted; see the group gaps. Ratings carry the raters' "
    "bias.",
)
PRECISION = (
    "Figures are of float32. Where a processor has bfloat16 the encoders compute in that, and each score says so; "
    "faces are found in float32 everywhere. How far scores then are apart is measured by python -m "
    "benchmarks.networks: those of compact by less than 0.005, in the same order (rank correlation of 0.999 or more), "
    "on its photographs."
)
CAUSES = "Contributions say what this model added up, not what causes people to remember."


@dataclass(frozen=True)
class Facts:
    """What a card is made of. `data` holds the faces used; `left_out` counts the others by reason."""

    name: str
    recipe: Recipe
    data: DataSet
    captioner: dict[str, Any]
    left_out: dict[str, int]
    scale: tuple[float, float] | None
    results: dict[str, Any]
    tuning: dict[str, Any]


def card(facts: Facts) -> dict[str, Any]:
    """The card of a bundle, ready for JSON."""
    source, wording = facts.data.source, facts.recipe.wording
    return {
        "name": facts.name,
        "summary": SUMMARY,
        "target": source.target,
        "data": _data(facts),
        "licence": {
            "name": source.licence,
            **({"url": source.licence_url} if source.licence_url else {}),
            "meaning": source.licence_meaning,
            "parts": wording.parts,
        },
        "protocol": _protocol(facts),
        "results": facts.results,
        "limits": [*source.limits, *EXPLAINS, *wording.limits, PRECISION, CAUSES],
        "captioner": facts.captioner,
        "versions": {package: version(package) for package in wording.packages},
        "made": date.today().isoformat(),
    }


def _data(facts: Facts) -> dict[str, Any]:
    source = facts.data.source
    described: dict[str, Any] = {"name": source.name, "credit": source.credit, "changes": source.changes}
    described["faces"] = len(facts.data)
    for name, said in (("left_out", facts.left_out), ("notes", facts.data.notes), ("unused", facts.data.unused)):
        if said:
            described[name] = said if isinstance(said, dict) else list(said)
    return described


def _protocol(facts: Facts) -> dict[str, Any]:
    plan, wording = facts.recipe.plan, facts.recipe.wording
    again = f", {plan.repeats} times with other folds" if plan.repeats > 1 else ""
    meaning = [
        f"{plan.folds}-fold cross-validation over faces{again}: every score below is that of a face whose fold was "
        "held out of everything that training fits, standardisation included.",
        *(["Figures are means over the repeats."] if plan.repeats > 1 else []),
        *([wording.caveat] if wording.caveat_for == facts.data.source else []),
        "Intervals: bootstrap over faces.",
    ]
    return {
        "meaning": " ".join(meaning),
        "recipe": facts.recipe.name,
        "folds": plan.folds,
        "repeats": plan.repeats,
        "fold_seed": plan.fold_seed,
        "members": plan.members,
        "seed": plan.seed,
        "scale": facts.scale,
        "tuning": facts.tuning,
    }
