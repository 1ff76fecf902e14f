"""What a bundle is worth, computed again from the faces that were held out when it was trained."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from services.training import measures
from services.training.bundle import OUT_OF_FOLD
from services.training.folds import folds
from services.training.ratings import Ratings, read
from shared.errors import BundleInvalid, DataSetInvalid
from shared.memorability.catalogue import BundleFacts


def evaluate(bundle: BundleFacts, data: Path) -> dict[str, Any]:
    """The results of a bundle's card, computed from its held-out scores and the ratings in `data`.

    Every score in out_of_fold.json came from heads that had not seen that face. `recipes.evaluate_again` makes those
    scores anew. Raises BundleInvalid if the bundle has none, DataSetInvalid if `data` is not what it was trained on.
    """
    try:
        held_out = json.loads((bundle.path / OUT_OF_FOLD).read_bytes())
        scores = np.array([entry["score"] for entry in held_out.values()])
        spreads = np.array([entry["spread"] for entry in held_out.values()])
        protocol = bundle.card["protocol"]
        parts = folds(len(scores), protocol["folds"], protocol["fold_seed"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleInvalid(f"bundle '{bundle.name}' has no held-out scores to evaluate: {error}") from error
    ratings = read(data)
    row_of = {image: row for row, image in enumerate(ratings.images)}
    if not held_out.keys() <= row_of.keys():
        raise DataSetInvalid(f"'{data}' is not the data set that bundle '{bundle.name}' was trained on")
    return results(scores, spreads, ratings, np.array([row_of[image] for image in held_out]), parts)


def results(
    scores: np.ndarray, spreads: np.ndarray, ratings: Ratings, rows: np.ndarray, parts: list[np.ndarray]
) -> dict[str, Any]:
    """The results of a card from held-out `scores` and `spreads` (N,) of the faces in `rows` of the ratings."""
    columns = {name: column[rows] for name, column in ratings.columns.items()}
    shares = ratings.shares[rows]
    interval = measures.interval_for(scores, spreads, shares)
    widths = interval["factor"] * (interval["floor"] + spreads)
    return {
        "quality": measures.quality(scores, shares),
        "human_ceiling": measures.human_ceiling(columns),
        "group_gaps": measures.group_gaps(scores, shares, columns),
        "interval": {
            "stated_coverage": interval["coverage"],
            "measured_coverage": measures.coverage(scores, spreads, shares, parts),
            "median_half_width": round(float(np.median(widths)), 3),
        },
    }
