"""What the colours mean."""

from PIL import Image

from shared.drawing.ink import LOWERING, RAISING, SOFT, Colour, bar, text
from shared.drawing.layout import beside, flow

SWATCH = (30, 14)


def legend(size: int, width: int, more: str = "") -> Image.Image:
    """Red raises, blue lowers, pale hardly matters, and `more`; in as many rows as it takes."""
    pale = "pale: hardly matters."
    entries = [
        _key(RAISING, "raises the score", size),
        _key(LOWERING, "lowers it", size),
        text(f"{pale} {more}".strip(), size, SOFT, width=width, lines=2),
    ]
    return flow(entries, width, round(1.4 * size))


def _key(colour: Colour, meaning: str, size: int) -> Image.Image:
    label = text(meaning, size, SOFT)
    swatch = Image.new("RGBA", (SWATCH[0], label.height))
    swatch.alpha_composite(bar(SWATCH, colour), (0, max(0, (label.height - SWATCH[1]) // 2)))
    return beside([swatch, label], 10)
