"""Colours, text and simple shapes, each as a transparent picture of its own."""

from bisect import bisect_right
from functools import lru_cache
from math import ceil

from PIL import Image, ImageChops, ImageDraw, ImageFont

from shared.drawing.letters import letters_for, plain
from shared.images.heatmap import LOWERS, RAISES

Colour = tuple[int, int, int]

PAPER: Colour = (244, 242, 238)
CARD: Colour = (255, 255, 255)
EDGE: Colour = (226, 222, 214)
INK: Colour = (28, 31, 37)
SOFT: Colour = (98, 104, 114)
FAINT: Colour = (232, 229, 222)
# The colours of the heat map, so that a red word and a red region mean the same.
RAISING: Colour = (int(RAISES[0]), int(RAISES[1]), int(RAISES[2]))
LOWERING: Colour = (int(LOWERS[0]), int(LOWERS[1]), int(LOWERS[2]))

LINE_HEIGHT = 1.36  # of the size of the letters
ASCENT = 1.02  # from the top of a line to the foot of its letters, of their size
SMOOTH = 4  # shapes are drawn so many times larger and scaled down, because Pillow draws them with jagged edges
ELLIPSIS = "…"
MOST_SIGNS = 2_000  # of one text; nobody reads more, and measuring letters takes time


def text(
    content: str, size: int, colour: Colour = INK, *, width: int = 10_000, lines: int = 1, bold: bool = False
) -> Image.Image:
    """`content` in at most so many lines of at most so many pixels; what does not fit ends in an ellipsis."""
    content = plain(content[:MOST_SIGNS])
    letters = letters_for(content, size)
    weight = max(1, size // 28) if bold else 0
    rows = _wrapped(content, letters, width, lines)
    line = round(size * LINE_HEIGHT)
    wide = max(round(letters.getlength(row)) for row in rows) + 2 * weight
    picture = Image.new("RGBA", (max(1, wide), line * len(rows)), (*colour, 0))
    pen = ImageDraw.Draw(picture)
    for number, row in enumerate(rows):
        foot = number * line + round(size * ASCENT)
        pen.text((weight, foot), row, font=letters, fill=colour, anchor="ls", stroke_width=weight / 2)
    return picture


def bar(size: tuple[int, int], colour: Colour, share: float = 1.0) -> Image.Image:
    """A bar with round ends on a faint track, filled up to `share`."""
    width, height = size
    large = Image.new("RGBA", (width * SMOOTH, height * SMOOTH), (*FAINT, 0))
    pen, radius = ImageDraw.Draw(large), height * SMOOTH // 2
    pen.rounded_rectangle((0, 0, large.width - 1, large.height - 1), radius, fill=FAINT)
    end = round(max(share * width, height) * SMOOTH)
    pen.rounded_rectangle((0, 0, end - 1, large.height - 1), radius, fill=colour)
    return large.resize(size, Image.Resampling.LANCZOS)


def chip(content: str, size: int, colour: Colour, width: int = 10_000) -> Image.Image:
    """`content` in `colour` on a light tint of it, with round ends, at most so many pixels wide."""
    label = text(content, size, colour, width=width - size - size // 3)
    box = (label.width + size + size // 3, label.height + size // 3)
    tint = tuple(round(255 - (255 - part) * 0.1) for part in colour)
    ground = Image.new("RGBA", box, (*tint, 255))
    ground.alpha_composite(label, ((box[0] - label.width) // 2, size // 6))
    return rounded(ground, box[1] // 2)


def rounded(picture: Image.Image, radius: int) -> Image.Image:
    """The picture with round corners."""
    result = picture.convert("RGBA")
    mask = _round_rectangle(picture.size, radius)
    result.putalpha(mask if picture.mode == "RGB" else ImageChops.multiply(result.getchannel("A"), mask))
    return result


@lru_cache(maxsize=64)
def _round_rectangle(size: tuple[int, int], radius: int) -> Image.Image:
    """White inside, black outside. Only the corners are drawn large: the rest has no edge that could be jagged."""
    mask = Image.new("L", size, 255)
    circle = Image.new("L", (2 * radius * SMOOTH, 2 * radius * SMOOTH))
    ImageDraw.Draw(circle).ellipse((0, 0, circle.width - 1, circle.height - 1), fill=255)
    circle = circle.resize((2 * radius, 2 * radius), Image.Resampling.LANCZOS)
    right, bottom = size[0] - radius, size[1] - radius
    for left, top, corner in (
        (0, 0, (0, 0)),
        (radius, 0, (right, 0)),
        (0, radius, (0, bottom)),
        (radius, radius, (right, bottom)),
    ):
        mask.paste(circle.crop((left, top, left + radius, top + radius)), corner)
    return mask


def _wrapped(content: str, letters: ImageFont.FreeTypeFont, width: int, lines: int) -> list[str]:
    rows = [""]
    for word in content.split():
        longer = f"{rows[-1]} {word}".strip()
        if letters.getlength(longer) <= width or not rows[-1]:
            rows[-1] = longer
        else:
            rows.append(word)
    shown = rows[:lines]
    if len(rows) > lines:
        shown[-1] = f"{shown[-1]} {rows[lines]}"
    return [_shortened(row, letters, width) for row in shown]


def _shortened(row: str, letters: ImageFont.FreeTypeFont, width: int) -> str:
    if letters.getlength(row) <= width:
        return row
    fits = bisect_right(range(len(row)), width, key=lambda end: ceil(letters.getlength(row[:end] + ELLIPSIS))) - 1
    return row[: max(0, fits)].rstrip(" ,.;") + ELLIPSIS
