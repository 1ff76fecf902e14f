"""One face explained on one page, and its caption alone."""

from PIL import Image

from shared.drawing.caption import coloured_caption
from shared.drawing.explained import ExplainedFace
from shared.drawing.ink import INK, LOWERING, RAISING, SOFT, bar, rounded, text
from shared.drawing.layout import beside, card, on_paper, stack
from shared.drawing.legend import legend
from shared.wording import NO_CAUSE, contribution, flagged, heaviest, ordinal

WIDTH = 1080
MARGIN = 36
PADDING = 28
INSIDE = WIDTH - 2 * PADDING
GAP = 22
SIDE = 320  # of crop and heat map
WORDS = 6  # that have a map of their own
MAP = (INSIDE - (WORDS - 1) * 16) // WORDS
CAPTION_LINES = 16  # on the page; a caption of 300 tokens has about 20 lines of this width
RADIUS = 8


def caption_picture(face: ExplainedFace) -> Image.Image:
    """The caption with its words coloured by what they add, the legend and the sum. At most some 2,000 pixels high."""
    pieces = [
        coloured_caption(face.caption, face.words, INSIDE, lines=50),
        legend(18, INSIDE, _unread(face)),
        _sum(face),
    ]
    return on_paper(card(stack(pieces, GAP), WIDTH, PADDING), WIDTH, MARGIN)


def page(face: ExplainedFace, title: str, about: str) -> Image.Image:
    """Crop, heat map, score, flags, caption, the heaviest words with their regions, the sum, what the model is.

    `about` says what a score is. An RGB picture.
    """
    blocks = [
        text(title, 21, SOFT, width=INSIDE),
        beside(
            [
                rounded(face.picture(SIDE), RADIUS),
                rounded(face.heat_map(SIDE), RADIUS),
                _score(face, INSIDE - 2 * (SIDE + GAP)),
            ],
            GAP,
        ),
        coloured_caption(face.caption, face.words, INSIDE, lines=CAPTION_LINES),
        legend(18, INSIDE, _unread(face)),
    ]
    if told := word_maps(face, WORDS, MAP, 16):
        head = "Where the heaviest words find what they add, all on one scale:"
        blocks.append(stack([text(head, 18, SOFT, width=INSIDE), told], 10))
    blocks += [_sum(face), text(f"{about} {NO_CAUSE}".strip(), 18, INK, width=INSIDE, lines=6)]
    return on_paper(card(stack(blocks, GAP), WIDTH, PADDING), WIDTH, MARGIN)


def word_maps(face: ExplainedFace, number: int, side: int, gap: int) -> Image.Image | None:
    """The maps of the heaviest words side by side, each with its word; None if there is no word to tell."""
    places = {id(word): place for place, word in enumerate(face.words)}
    told = heaviest(face.words, number)
    return beside([_word_map(face, places[id(word)], contribution(word), side) for word in told], gap) if told else None


def _word_map(face: ExplainedFace, place: int, label: str, side: int) -> Image.Image:
    colour = RAISING if face.words[place].contribution > 0 else LOWERING
    picture = rounded(face.word_map(place, side), RADIUS)
    words = text(label, 17, colour, width=side)
    column = Image.new("RGBA", (side, picture.height + 4 + words.height))
    column.alpha_composite(picture)
    column.alpha_composite(words, (0, picture.height + 4))
    return column


def _score(face: ExplainedFace, width: int) -> Image.Image:
    pieces: list[Image.Image] = [
        beside(
            [text(f"{face.score:.2f}", 76, INK, bold=True), _lowered(text(f"± {face.uncertainty:.2f}", 30, SOFT))], 14
        ),
        text(f"{ordinal(face.percentile)} percentile", 24, INK, width=width),
        bar((width, 10), INK, face.percentile / 100),
        text("among the faces that the model was made with", 17, SOFT, width=width, lines=2),
    ]
    if warning := flagged(face.flags):
        pieces.append(text(warning, 18, RAISING, width=width, lines=6))
    return stack(pieces, 10)


def _lowered(small: Image.Image) -> Image.Image:
    """Small letters that stand on the line of the score's large ones."""
    picture = Image.new("RGBA", (small.width, small.height + 44))
    picture.alpha_composite(small, (0, 44))
    return picture


def _sum(face: ExplainedFace) -> Image.Image:
    return text(f"{face.sum()}; its logistic is the score, {face.score:.4f}", 18, INK, width=INSIDE, lines=3)


def _unread(face: ExplainedFace) -> str:
    """Said only where the model did not read all of the caption."""
    end = max((word.end for word in face.words), default=0)
    return "Grey: beyond what the model reads." if any(map(str.isalnum, face.caption[end:])) else ""
