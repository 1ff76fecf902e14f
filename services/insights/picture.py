"""A set in one picture: the distribution of its scores, and the words that go with high and low ones."""

from PIL import Image

from services.insights.charts import differences, histogram
from services.insights.findings import NOTES, Findings
from services.insights.scores import Scores
from shared.drawing.ink import INK, SOFT, text
from shared.drawing.layout import card, on_paper, stack

WIDTH = 1240
MARGIN = 48
PADDING = 32
INSIDE = WIDTH - 2 * PADDING
MOST_ROWS = 18  # of each kind: more would be a list and no picture


def draw(findings: Findings, name: str, about: str, *, running: bool) -> Image.Image:
    """The picture, RGB. `name` is the set's; `about` is what the bundle's card says of its scores, or nothing."""
    pieces = [
        text("What goes with high and low scores", 42, INK, bold=True),
        text(_summary(findings, name), 21, SOFT, width=WIDTH),
        *(text(warning, 19, INK, width=WIDTH, lines=3) for warning in findings.warnings(running)),
    ]
    charts = []
    if findings.scores is not None:
        charts.append(card(_distribution(findings.scores), WIDTH, PADDING))
    if findings.associations.clear:
        charts.append(card(_words(findings), WIDTH, PADDING))
    notes = [text(note, 17, SOFT, width=WIDTH, lines=3) for note in (about, *NOTES) if note]
    return on_paper(stack([stack(pieces, 8), *charts, stack(notes, 4)], 28), WIDTH, MARGIN)


def _summary(findings: Findings, name: str) -> str:
    faces = f"{findings.used:,} scored faces of {findings.photographs:,} photographs"
    return f"{faces}  ·  {name}"


def _distribution(scores: Scores) -> Image.Image:
    quarter, median, three_quarters = scores.quartiles
    told = (
        f"mean {scores.mean:.2f}, median {median:.2f}, half of the faces between {quarter:.2f} and {three_quarters:.2f}"
    )
    return stack([text("Scores", 26, INK, bold=True), text(told, 19, SOFT), histogram(scores, INSIDE)], 8)


def _words(findings: Findings) -> Image.Image:
    clear = findings.associations.clear
    high = [each for each in clear if each.difference > 0]
    low = [each for each in clear if each.difference <= 0]
    shown = [*high[:MOST_ROWS], *low[-MOST_ROWS:]]
    left_out = len(clear) - len(shown)
    explained = (
        "Mean score of photographs with the words less that of those without, and its 95 % interval. Shown is what "
        f"survives a control of the false discovery rate at 5 %: {len(clear):,} of "
        f"{len(clear) + len(findings.associations.others):,} terms."
    )
    pieces = [
        text("Words and attributes of the captions", 26, INK, bold=True),
        text(explained, 19, SOFT, width=INSIDE, lines=2),
        differences(shown, INSIDE),
    ]
    if left_out:
        pieces.append(text(f"and {left_out:,} more with smaller differences", 19, SOFT))
    return stack(pieces, 10)
