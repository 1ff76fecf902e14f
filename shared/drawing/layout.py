"""Pictures above and beside each other."""

from collections.abc import Sequence

from PIL import Image

from shared.drawing.ink import CARD, EDGE, PAPER, rounded

RADIUS = 14
BORDER = 2


def stack(pictures: Sequence[Image.Image], gap: int) -> Image.Image:
    """One above the other, flush left."""
    width = max(picture.width for picture in pictures)
    height = sum(picture.height for picture in pictures) + gap * (len(pictures) - 1)
    column = Image.new("RGBA", (width, height))
    top = 0
    for picture in pictures:
        column.alpha_composite(picture.convert("RGBA"), (0, top))
        top += picture.height + gap
    return column


def beside(pictures: Sequence[Image.Image], gap: int) -> Image.Image:
    """From left to right, flush at the top."""
    width = sum(picture.width for picture in pictures) + gap * (len(pictures) - 1)
    row = Image.new("RGBA", (width, max(picture.height for picture in pictures)))
    left = 0
    for picture in pictures:
        row.alpha_composite(picture.convert("RGBA"), (left, 0))
        left += picture.width + gap
    return row


def ends(left: Image.Image, right: Image.Image, width: int) -> Image.Image:
    """One flush left and one flush right, standing on the same ground."""
    height = max(left.height, right.height)
    row = Image.new("RGBA", (width, height))
    row.alpha_composite(left, (0, height - left.height))
    row.alpha_composite(right, (width - right.width, height - right.height))
    return row


def flow(pictures: Sequence[Image.Image], width: int, gap: int) -> Image.Image:
    """From left to right, as many in each row as fit."""
    rows: list[list[Image.Image]] = [[]]
    for picture in pictures:
        taken = sum(other.width + gap for other in rows[-1])
        if rows[-1] and taken + picture.width > width:
            rows.append([])
        rows[-1].append(picture)
    return stack([beside(row, gap) for row in rows], gap)


def grid(pictures: Sequence[Image.Image], number: int, gap: int) -> Image.Image:
    """So many in each row, in reading order. All pictures are of one width."""
    rows = [pictures[start : start + number] for start in range(0, len(pictures), number)]
    return stack([beside(row, gap) for row in rows], gap)


def columns(pictures: Sequence[Image.Image], number: int, gap: int) -> Image.Image:
    """Each below the shortest of so many columns. All pictures are of one width."""
    width = pictures[0].width
    heights = [0] * number
    places = []
    for picture in pictures:
        column = heights.index(min(heights))
        places.append((column * (width + gap), heights[column]))
        heights[column] += picture.height + gap
    whole = Image.new("RGBA", (number * width + (number - 1) * gap, max(heights) - gap))
    for picture, place in zip(pictures, places, strict=True):
        whole.alpha_composite(picture, place)
    return whole


def card(content: Image.Image, width: int, padding: int) -> Image.Image:
    """`content` on a white card with a thin edge and round corners."""
    frame = Image.new("RGBA", (width, content.height + 2 * padding), (*EDGE, 255))
    ground = Image.new("RGBA", (frame.width - 2 * BORDER, frame.height - 2 * BORDER), (*CARD, 255))
    ground.alpha_composite(content, (padding - BORDER, padding - BORDER))
    frame.alpha_composite(rounded(ground, RADIUS - BORDER), (BORDER, BORDER))
    return rounded(frame, RADIUS)


def on_paper(content: Image.Image, width: int, margin: int) -> Image.Image:
    """`content`, at most so wide, on the paper of the sheet with a margin on all sides: an RGB picture."""
    paper = Image.new("RGBA", (width + 2 * margin, content.height + 2 * margin), (*PAPER, 255))
    paper.alpha_composite(content, (margin, margin))
    return paper.convert("RGB")
