"""What a bundle is worth, computed again from the faces that were held out when it was trained."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from services.training import measures
from services.training.ablation import RIVALS
from services.training.bundle import held_out_scores, variant_scores
from services.training.datasets.data_set import DataSet, Judged, Published
from services.training.datasets.read import read
from services.training.protocol import HeldOut, Plan
from services.training.recipes import plan_of, recipe_of
from shared.errors import BundleInvalid, DataSetInvalid
from shared.memorability.catalogue import BundleFacts


def evaluate(bundle: BundleFacts, data: Path) -> dict[str, Any]:
    """The results of a bundle's card, computed from its held-out scores and the targets in `data`.

    Every score in out_of_fold.json came from heads that had not seen that face. `train.evaluate_again` makes those
    scores anew. Raises BundleInvalid if the bundle has none, DataSetInvalid if `data` is not what it was trained on.
    """
    images, held_out = held_out_scores(bundle)
    try:
        plan, scale = plan_of(bundle.card["protocol"]), bundle.card["protocol"].get("scale")
    except (KeyError, TypeError) as error:
        raise BundleInvalid(f"the card of bundle '{bundle.name}' does not say how it was trained: {error}") from error
    found = read(data, tuple(scale) if scale else None)
    row_of = {image: row for row, image in enumerate(found.images)}
    if not row_of.keys() >= set(images):
        raise DataSetInvalid(f"'{data}' is not the data set that bundle '{bundle.name}' was trained on")
    data_used = found[np.array([row_of[image] for image in images])]
    return results(held_out, variant_scores(bundle, len(images)), data_used, plan, recipe_of(bundle).fit.validation)


def results(
    held_out: HeldOut, variants: dict[str, np.ndarray], data: DataSet, plan: Plan, validation: str
) -> dict[str, Any]:
    """The results of a card from held-out scores of the faces of `data`, and those that `ablations` found.

    `validation` says what the fit did with the validation tenth of the seed's protocol.
    """
    scores, targets = held_out.scores, data.targets
    found: dict[str, Any] = {"quality": measures.quality(scores, targets)}
    if len(scores) > 1:
        found["repeats"] = [round(measures.spearman(repeat, targets), 3) for repeat in scores]
    found["human_ceiling"] = _ceiling(data)
    if held_out.seed_scores is not None and data.published is not None:
        found["seed_protocol"] = _seed_protocol(held_out.seed_scores, targets, data.published, validation)
    if data.judged is not None:
        found["judged_memorability"] = _judged(data.judged, scores, targets)
    return (
        found
        | {
            "calibration": measures.calibration(scores[0], held_out.spreads[0], targets, plan.parts(len(targets))[0]),
            "group_gaps": measures.group_gaps(scores, targets, data.groups),
            "interval": _interval(held_out, targets, plan),
            "ablations": _ablations(scores[0], variants, targets),
        }
        | _choice(scores[0], variants, targets, plan)
    )


def _choice(scores: np.ndarray, variants: dict[str, np.ndarray], targets: np.ndarray, plan: Plan) -> dict[str, Any]:
    """What is reached if the choice between the bundle and its rivals is made inside the folds."""
    rivals = [scores_there for name, scores_there in variants.items() if name.startswith(RIVALS)]
    if not rivals:
        return {}
    chosen = measures.chosen_within([scores, *rivals], targets, plan.parts(len(targets))[0])
    spearman = measures.with_interval(measures.spearman, chosen, targets)
    return {"choice_within_folds": {"rivals": len(rivals), "spearman": spearman}}


def differences(results: dict[str, Any], others: dict[str, Any]) -> dict[str, float]:
    """By how much each figure of two cards' results differs, by its name; infinity where only one has it."""
    ours, theirs = dict(_figures(results)), dict(_figures(others))
    return {
        name: abs(ours[name] - theirs[name]) if name in ours and name in theirs else math.inf
        for name in ours.keys() | theirs.keys()
    }


def _figures(results: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """Every number in results. Rows of a table go by their texts, because their order depends on the figures."""
    if isinstance(results, dict):
        texts = [text for text in results.values() if isinstance(text, str)]
        for key, value in results.items():
            yield from _figures(value, " / ".join(filter(None, [name, *texts, key])))
    elif isinstance(results, list):
        for place, value in enumerate(results):
            yield from _figures(value, name if isinstance(value, dict) else f"{name} {place}")
    elif isinstance(results, int | float):
        yield name, float(results)


def _ablations(scores: np.ndarray, variants: dict[str, np.ndarray], targets: np.ndarray) -> list[dict[str, Any]]:
    """What the bundle and each variant of it reach on the same held-out faces, the best first."""
    rows = [
        {
            "variant": name,
            "spearman": measures.with_interval(measures.spearman, variant, targets),
            "bundle_less_variant": measures.less_than(scores, variant, targets),
        }
        for name, variant in variants.items()
    ]
    return sorted(rows, key=lambda row: -row["spearman"]["value"])


def _ceiling(data: DataSet) -> dict[str, Any] | None:
    """How well people predict people; None if neither the data nor a publication says so."""
    if data.halves is not None:
        return measures.human_ceiling(*data.halves)
    if data.published is not None:
        return measures.ceiling_of(data.published.split_half) | {"source": data.published.split_half_source}
    return None


def _seed_protocol(
    seed_scores: np.ndarray, targets: np.ndarray, published: Published, validation: str
) -> dict[str, Any]:
    """Spearman on the test tenth of the seed's split, beside what was published."""
    test = ~np.isnan(seed_scores)
    return {
        "faces": int(test.sum()),
        "validation": validation,
        "spearman": measures.with_interval(measures.spearman, seed_scores[test], targets[test]),
        "published_spearman": published.spearman,
        "published": published.spearman_source,
    }


def _judged(judged: Judged, scores: np.ndarray, targets: np.ndarray) -> dict[str, Any]:
    """How memorable faces were judged to be: how far raters agree, and what that has to do with target and score."""
    there = ~np.isnan(judged.mean)
    ceiling = measures.human_ceiling(judged.half_a[there], judged.half_b[there])
    against_scores = measures.over_repeats(measures.spearman)
    return {
        "faces": int(there.sum()),
        **ceiling,
        "spearman_with_target": measures.with_interval(measures.spearman, judged.mean[there], targets[there]),
        "spearman_with_score": measures.with_interval(against_scores, scores.T[there], judged.mean[there]),
    }


def _interval(held_out: HeldOut, targets: np.ndarray, plan: Plan) -> dict[str, float]:
    """How often the target lies within the stated interval, and how wide that is."""
    scores, spreads = held_out.scores, held_out.spreads
    calibrated = measures.interval_for(scores.ravel(), spreads.ravel(), np.tile(targets, len(scores)))
    widths = calibrated["factor"] * (calibrated["floor"] + spreads)
    covered = [
        measures.covered(scores[repeat], spreads[repeat], targets, parts).mean()
        for repeat, parts in enumerate(plan.parts(len(targets)))
    ]
    return {
        "stated_coverage": calibrated["coverage"],
        "measured_coverage": round(float(np.mean(covered)), 3),
        "median_half_width": round(float(np.median(widths)), 3),
    }
