"""The whole sheet: what it is of, the images with scores, those without."""

from PIL import Image

from services.contact_sheet.cards import CARD_WIDTH, TILE_WIDTH, image_card, tile
from services.contact_sheet.content import SheetContent
from shared.drawing.ink import INK, SOFT, text
from shared.drawing.layout import columns, grid, on_paper, stack
from shared.drawing.legend import legend
from shared.wording import NO_CAUSE

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
    more = "Bars show the percentile; small maps show where the heaviest words of a face find what they add."
    return stack(
        [
            text(content.title, 44, INK, width=WIDTH, bold=True),
            text(content.summary, 21, SOFT, width=WIDTH),
            text(f"{content.about} {NO_CAUSE}".strip(), 21, INK, width=WIDTH, lines=3),
            legend(19, WIDTH, more),
        ],
        6,
    )
