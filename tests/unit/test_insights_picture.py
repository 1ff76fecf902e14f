"""The picture of a set is drawn whatever was found, and shows it."""

import numpy as np
import pytest
from PIL import Image

from services.insights.associations import Association, Associations
from services.insights.charts import label
from services.insights.findings import NOTES, Findings
from services.insights.picture import draw
from services.insights.scores import distribution
from shared.drawing.ink import LOWERING, RAISING


def association(*terms: str, difference: float) -> Association:
    low, high = difference - 0.01, difference + 0.02
    return Association(terms, 20, 380, 20, 380, 0.5 + difference, 0.5, difference, low, high, 0.1, 0.001, True)


def findings(*clear: Association, faces: int = 400) -> Findings:
    scores = distribution([0.3 + index / 1000 for index in range(faces)])
    return Findings(faces, faces, scores, {}, {("describer", "5"): faces}, Associations([*clear], [], 0))


def dots(picture: Image.Image, colour: tuple[int, int, int]) -> list[int]:
    """The columns of the pixels of a colour below the histogram."""
    pixels = np.asarray(picture)[560:]
    return sorted(set(np.nonzero((pixels == colour).all(axis=2))[1].tolist()))


def test_high_is_red_and_right_low_is_blue_and_left() -> None:
    drawn = draw(
        findings(association("smile", difference=0.05), association("hat", difference=-0.05)), "A", "", running=False
    )
    assert drawn.mode == "RGB"
    only_high = draw(findings(association("smile", difference=0.05)), "A", "", running=False)
    only_low = draw(findings(association("hat", difference=-0.05)), "A", "", running=False)
    plot = range(470, 970)
    red = [column for column in dots(only_high, RAISING) if column in plot]
    blue = [column for column in dots(only_low, LOWERING) if column in plot]
    assert min(red) > 720 > max(blue)


@pytest.mark.parametrize("faces", [0, 1, 400])
def test_little_or_nothing_is_drawn_too(faces: int) -> None:
    assert draw(findings(faces=faces), "", "", running=True).width == 1336


def test_scores_with_gaps_between_them_are_drawn() -> None:
    gaps = Findings(2, 2, distribution([0.1, 0.9]), {}, {}, Associations([], [], 0))
    assert draw(gaps, "", "", running=False).width == 1336


def test_many_and_hostile_terms_are_drawn() -> None:
    many = [association(f"{'W' * 60} {n} 漢字", "x" * 300, difference=0.2 - n / 100) for n in range(60) if n != 20]
    drawn = draw(findings(*many), "<b>" * 200, "", running=False)
    assert drawn.width == 1336
    assert drawn.height < 2600


def test_a_label_says_nothing_twice() -> None:
    assert label(("broad smile", "broad", "teeth"), 3) == "broad smile / teeth"
    assert label(("a", "b", "c"), 1) == "a +2"


def test_what_a_score_is_comes_from_the_bundle() -> None:
    silent, told = (draw(findings(), "A", about, running=False) for about in ("", "About the score: it is a hit rate."))
    assert told.height > silent.height
    assert not any(word in note for note in NOTES for word in ("judge", "rated", "memory")), "a bundle may do either"
