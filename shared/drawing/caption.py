"""A caption whose words stand on the colour of what they add, red for raising and blue for lowering the score."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from shared.drawing.ink import ASCENT, CARD, ELLIPSIS, INK, SOFT, Colour, rounded
from shared.drawing.letters import letters_for, plain
from shared.images.heatmap import LOWERS, OPACITY, RAISES
from shared.wording import Weighed

ROW = 1.62  # of the size of the letters, from row to row
GROUND = 1.36  # of the size of the letters: the height of a word's ground
SPACE = 0.2  # of the size of the letters, between two words, besides what their grounds reach over them
REACH = 0.14  # of the size of the letters, by which a ground reaches over its word on each side
# Signs of a caption that are looked at: ten times what a captioner writes. Nobody reads more, and wrapping costs time.
MOST_SIGNS = 6_000
LONGEST = 100  # signs drawn as one piece; signs without width would make a piece of any length
RIGHT_TO_LEFT = ("R", "AL")


@dataclass(frozen=True)
class Piece:
    """Some signs of one word, or of what stands between words. `weight` is -1..1, None where nothing is added."""

    content: str
    weight: float | None
    number: int | None
    letters: ImageFont.FreeTypeFont
    width: float


@dataclass
class Row:
    """Pieces that stand side by side, with the places of their left edges."""

    pieces: list[tuple[float, Piece]] = field(default_factory=list)
    width: float = 0.0


def coloured_caption(
    caption: str, words: Sequence[Weighed], width: int, *, size: int = 22, lines: int = 40
) -> Image.Image:
    """The caption in at most so many rows of at most so many pixels, its words coloured by their contributions.

    The colours are those of the heat map, and the heaviest word has the strongest. What the model did not read, because
    it comes after the last word that it takes, is grey. A caption that is too long ends in how many words are not shown
    and what they add. Captions that are read from the right run from the right.
    """
    rows = _rows(_clusters(caption, words, size, width), width, size)
    left_out = {piece.number for row in rows[lines:] for _, piece in row.pieces} - {None}
    shown = rows[:lines] or [Row()]
    ending = _ending([words[number].contribution for number in left_out if number is not None], len(rows) > lines)
    step = round(size * ROW)
    picture = Image.new("RGBA", (width, step * (len(shown) + bool(ending))), (*CARD, 0))
    from_right = _reads_from_right(caption)
    for number, row in enumerate(shown):
        placed = [
            (round(width - left - piece.width) if from_right else round(left), piece) for left, piece in row.pieces
        ]
        for put in (_put_ground, _put_letters):  # no ground shall cover a neighbour's letters
            for left, piece in placed:
                put(picture, piece, left, number * step, size)
    if ending:
        foot = len(shown) * step + round(size * ASCENT)
        letters = letters_for(ending, size)
        ImageDraw.Draw(picture).text((0, foot), ending, font=letters, fill=SOFT, anchor="ls")
    return picture


def ground(weight: float) -> Colour:
    """The colour of a word of this weight, -1..1: that of a white region of the heat map with the same weight."""
    colour = np.where(weight > 0, RAISES, LOWERS)
    opacity = min(abs(weight), 1.0) * OPACITY
    red, green, blue = (255 * (1 - opacity) + colour * opacity).round().astype(int)
    return int(red), int(green), int(blue)


def _clusters(caption: str, words: Sequence[Weighed], size: int, width: int) -> Iterator[list[Piece]]:
    """What stands between two spaces, as pieces. What is wider than a row comes in several."""
    strongest = max((abs(word.contribution) for word in words), default=0.0) or 1.0
    owner: dict[int, int] = {at: number for number, word in enumerate(words) for at in range(word.start, word.end)}
    cluster: list[Piece] = []
    run, of = "", None
    for at, sign in enumerate(plain(caption[:MOST_SIGNS]) + " "):
        number = owner.get(at)
        if run and (sign.isspace() or number != of or _is_full(run + sign, size, width)):
            weight = None if of is None else words[of].contribution / strongest
            letters = letters_for(run, size)
            cluster.append(Piece(run, weight, of, letters, letters.getlength(run)))
            run = ""
        if sign.isspace():
            if cluster:
                yield cluster
            cluster = []
        else:
            run, of = run + sign, number


def _is_full(run: str, size: int, width: int) -> bool:
    return len(run) > LONGEST or letters_for(run, size).getlength(run) > width - size


def _rows(clusters: Iterator[list[Piece]], width: int, size: int) -> list[Row]:
    reach, space = size * REACH, size * (SPACE + 2 * REACH)
    rows: list[Row] = []
    for cluster in clusters:
        wide = sum(piece.width for piece in cluster)
        if not rows or rows[-1].width + space + wide + reach > width:
            rows.append(Row(width=reach))
        else:
            rows[-1].width += space
        for piece in cluster:
            if rows[-1].width + piece.width + reach > width and rows[-1].pieces:
                rows.append(Row(width=reach))
            rows[-1].pieces.append((rows[-1].width, piece))
            rows[-1].width += piece.width
    return rows


def _put_ground(picture: Image.Image, piece: Piece, left: int, top: int, size: int) -> None:
    if piece.weight is not None:
        reach = round(size * REACH)
        box = (round(piece.width) + 2 * reach, round(size * GROUND))
        place = (max(0, left - reach), top)
        picture.alpha_composite(rounded(Image.new("RGB", box, ground(piece.weight)), size // 5), place)


def _put_letters(picture: Image.Image, piece: Piece, left: int, top: int, size: int) -> None:
    foot = top + round(size * ASCENT)
    colour = INK if piece.weight is not None or not any(map(str.isalnum, piece.content)) else SOFT
    ImageDraw.Draw(picture).text((left, foot), piece.content, font=piece.letters, fill=colour, anchor="ls")


def _ending(contributions: list[float], cut: bool) -> str:
    if not cut:
        return ""
    if not contributions:
        return ELLIPSIS
    plural = "s" if len(contributions) > 1 else ""
    return f"{ELLIPSIS} and {len(contributions):,} more word{plural}, {sum(contributions):+.3f}"


def _reads_from_right(caption: str) -> bool:
    """By its first letter that has a direction, as the Unicode bidirectional algorithm decides it for a paragraph."""
    directions = (unicodedata.bidirectional(sign) for sign in caption)
    return next((way in RIGHT_TO_LEFT for way in directions if way in ("L", *RIGHT_TO_LEFT)), False)
