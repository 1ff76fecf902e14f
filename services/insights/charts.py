"""The two charts of a set: how scores are distributed, and how they differ with each term."""

from collections.abc import Sequence
from math import floor, log10

from PIL import Image, ImageDraw

from services.insights.associations import Association
from services.insights.scores import Scores
from shared.drawing.ink import EDGE, FAINT, INK, LOWERING, RAISING, SMOOTH, SOFT, Colour, text
from shared.drawing.layout import beside, stack

LABEL = 360  # pixels: room for a term
VALUE = 70  # and for its difference
COUNT = 250  # and for that with its counts
GAP = 24
ROW = 40
THICK = 6  # of an interval
DOT = 8  # radius of a difference
BARS = 170  # height of the histogram
SMALL = 17
MOST_LABELS = 3  # of terms that occur on the same faces


def histogram(scores: Scores, width: int) -> Image.Image:
    """Faces by score: blue where scores are low, red where they are high; the middle half of the faces underlined."""
    ground = Image.new("RGBA", (width, BARS + 14))
    pen = ImageDraw.Draw(ground)
    left, right = scores.edges[0], scores.edges[-1]
    step = width / len(scores.counts)
    most = max(scores.counts)
    for place, count in enumerate(scores.counts):
        top = BARS - 2 - round((BARS - 4) * count / most)  # one face in thousands is seen too
        colour = _between(place / max(1, len(scores.counts) - 1))
        if count:
            pen.rectangle((round(place * step) + 1, top, round((place + 1) * step) - 2, BARS - 1), fill=colour)
    pen.line((0, BARS, width, BARS), fill=SOFT, width=2)
    quarter, _, three_quarters = ((each - left) / (right - left) * width for each in scores.quartiles)
    pen.rectangle((quarter, BARS + 5, three_quarters, BARS + 9), fill=INK)
    every = -(-len(scores.counts) // 10)  # at most ten or so numbers find room
    ticks = {place * step: f"{edge:.2f}" for place, edge in enumerate(scores.edges) if place % every == 0}
    return stack([ground, _ticks(ticks, width)], 2)


def differences(told: Sequence[Association], width: int) -> Image.Image:
    """A row for each term: its name, the difference in score with its interval, and how many faces have it."""
    plot = width - LABEL - COUNT - 2 * GAP
    reach = max(max(abs(each.low), abs(each.high)) for each in told)
    rows = [_row(each, reach, plot) for each in told]
    tick = _round_step(reach)
    ticks = {_across(side * tick, reach, plot): f"{side * tick:+.2g}" if side else "0" for side in (-1, 0, 1)}
    blank = Image.new("RGBA", (LABEL, 1))
    heads = [_right(text("lower score", SMALL, LOWERING), plot // 2 - 10), text("higher score", SMALL, RAISING)]
    count = beside([Image.new("RGBA", (VALUE, 1)), text("faces with / without", SMALL, SOFT)], 10)
    return stack(
        [
            beside([blank, _left(beside(heads, 20), plot), count], GAP),
            stack(rows, 0),
            beside([blank, _ticks(ticks, plot)], GAP),
        ],
        6,
    )


def label(terms: Sequence[str], most: int) -> str:
    """At most so many terms of the same faces in a line; a word that is part of a phrase is not said twice."""
    said = [term for term in terms if not any(term != other and term in other.split() for other in terms)]
    more = f" +{len(said) - most}" if len(said) > most else ""
    return " / ".join(said[:most]) + more


def _fitting(terms: Sequence[str]) -> str:
    """As many terms as find room, one at least."""
    labels = [label(terms, most) for most in range(MOST_LABELS, 0, -1)]
    return next((each for each in labels if text(each, 21).width <= LABEL), labels[-1])


def _row(told: Association, reach: float, plot: int) -> Image.Image:
    colour = RAISING if told.difference > 0 else LOWERING
    name = _right(text(_fitting(told.terms), 21, INK, width=LABEL), LABEL)
    count = text(f"{told.faces_with:,} / {told.faces_without:,}", SMALL, SOFT, width=COUNT - VALUE)
    value = text(f"{told.difference:+.3f}", 19, colour, bold=True)
    cells = [_middle(each) for each in (name, _interval(told, reach, plot, colour), _right(value, VALUE), count)]
    return beside([*cells[:2], beside(cells[2:], 10)], GAP)


def _interval(told: Association, reach: float, plot: int, colour: Colour) -> Image.Image:
    """The interval as a bar and the difference as a dot on it, across a line at zero."""
    large = Image.new("RGBA", (plot * SMOOTH, ROW * SMOOTH))
    pen = ImageDraw.Draw(large)
    middle = large.height // 2
    low, dot, high = (_across(each, reach, plot) * SMOOTH for each in (told.low, told.difference, told.high))
    pen.line((0, middle, large.width, middle), fill=FAINT, width=SMOOTH)
    pen.line((large.width / 2, 0, large.width / 2, large.height), fill=EDGE, width=2 * SMOOTH)
    half = THICK * SMOOTH // 2
    tint = tuple(round(255 - (255 - part) * 0.4) for part in colour)
    pen.rounded_rectangle((low, middle - half, high, middle + half), half, fill=tint)
    radius = DOT * SMOOTH
    pen.ellipse((dot - radius, middle - radius, dot + radius, middle + radius), fill=colour)
    return large.resize((plot, ROW), Image.Resampling.LANCZOS)


def _across(value: float, reach: float, width: int) -> float:
    """How far from the left a value lies; -reach and reach lie so far from the ends that a dot finds room."""
    return width / 2 + value / reach * (width / 2 - DOT)


def _ticks(ticks: dict[float, str], width: int) -> Image.Image:
    """Numbers below an axis, each centred at its place, kept within the width."""
    numbers = {place: text(number, SMALL, SOFT) for place, number in ticks.items()}
    strip = Image.new("RGBA", (width, max(number.height for number in numbers.values())))
    for place, number in numbers.items():
        strip.alpha_composite(number, (max(0, min(width - number.width, round(place - number.width / 2))), 0))
    return strip


def _round_step(reach: float) -> float:
    """The largest of 1, 2, 5, 10 ... hundredths (thousandths, ...) that is not beyond `reach`."""
    size = 10.0 ** floor(log10(reach))
    return max(step * size for step in (1, 2, 5) if step * size <= reach * (1 + 1e-9))


def _between(share: float) -> Colour:
    """A colour from blue (0) over grey to red (1)."""
    end = LOWERING if share < 0.5 else RAISING
    strength = abs(share - 0.5) * 2
    grey = 190
    return (
        round(grey + (end[0] - grey) * strength),
        round(grey + (end[1] - grey) * strength),
        round(grey + (end[2] - grey) * strength),
    )


def _left(content: Image.Image, width: int) -> Image.Image:
    room = Image.new("RGBA", (width, content.height))
    room.alpha_composite(content.crop((0, 0, min(width, content.width), content.height)))
    return room


def _right(content: Image.Image, width: int) -> Image.Image:
    room = Image.new("RGBA", (width, content.height))
    room.alpha_composite(content, (max(0, width - content.width), 0))
    return room


def _middle(content: Image.Image) -> Image.Image:
    row = Image.new("RGBA", (content.width, ROW))
    row.alpha_composite(content, (0, max(0, (ROW - content.height) // 2)))
    return row
