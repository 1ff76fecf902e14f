"""The whole sheet: what it is of, the images with scores, those without."""

from PIL import Image

from services.contact_sheet.cards import CARD_WIDTH, TILE_WIDTH, image_card, tile
from services.contact_sheet.content import SheetContent
from services.contact_sheet.ink import INK, LOWERING, RAISING, SOFT, bar, text
from services.contact_sheet.layout import beside, columns, grid, on_paper, stack

MARGIN = 48
GUTTER = 24
WIDTH = 2 * CARD_WIDTH + GUTTER
TILES = (WIDTH + GUTTER) // (TILE_WIDTH + GUTTER)


def draw(content: SheetContent) -> Image.Image:
    """The sheet as an RGB picture."""
    scored = [image for image in content.images if image.faces]
    others = [image for image in content.images if not image.faces]
    pieces = [_header(content)]
    if scored:
        pieces.append(columns([image_card(image) for image in scored], 2, GUTTER))
    if others:
        pieces.append(text("Without a score", 26, INK))
        pieces.append(grid([tile(image) for image in others], TILES, GUTTER))
    if content.left_out:
        pieces.append(text(f"and {content.left_out:,} more images, which are in the results", 22, SOFT))
    return on_paper(stack(pieces, GUTTER + 8), WIDTH, MARGIN)


def _header(content: SheetContent) -> Image.Image:
    legend = [
        _key(RAISING, "raises the score"),
        _key(LOWERING, "lowers it"),
        text("pale: hardly matters. Bars show the percentile.", 19, SOFT),
    ]
    return stack(
        [
            text(content.title, 44, INK, width=WIDTH, bold=True),
            text(content.summary, 21, SOFT, width=WIDTH),
            text(content.about, 21, INK, width=WIDTH, lines=3),
            beside(legend, 28),
        ],
        6,
    )


def _key(colour: tuple[int, int, int], meaning: str) -> Image.Image:
    label = text(meaning, 19, SOFT)
    swatch = Image.new("RGBA", (30, label.height))
    swatch.alpha_composite(bar((30, 14), colour), (0, 7))
    return beside([swatch, label], 10)
