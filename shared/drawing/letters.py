"""Which letters a text is drawn with: the first of a few typefaces that has all its signs."""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont

# Looked for where the system keeps its fonts. DejaVu has the letters of Europe, Arabic, Hebrew and plain smileys, the
# others those of East Asia; Debian has them in fonts-dejavu-core, fonts-droid-fallback and fonts-noto-cjk.
SYSTEM_FONTS = (
    "DejaVuSans.ttf",
    "DroidSansFallbackFull.ttf",
    "NotoSansCJK-Regular.ttc",
    "Arial Unicode.ttf",
    "msyh.ttc",
)
PROBE = 20  # pixels; the size at which it is seen whether a typeface has a sign
NOWHERE = "\uffff"  # no sign at all, by definition: drawn as whatever a typeface draws for what it lacks
UNKNOWN = "\ufffd"
JOINERS = "\u200c\u200d"  # belong to the spelling of Persian, Hindi and many smileys


def plain(content: str) -> str:
    """`content` with each sign that controls something, or is none, replaced by one that says so."""
    return "".join(sign if sign.isprintable() or sign.isspace() or sign in JOINERS else UNKNOWN for sign in content)


def letters_for(content: str, size: int) -> ImageFont.FreeTypeFont:
    """Pillow's own letters where they suffice, else the typeface of this machine that lacks the fewest signs.

    A sign that none has is drawn as an empty box.
    """
    signs = frozenset(sign for sign in content if not sign.isspace())
    best, least = 0, len(signs) + 1
    for number in range(len(_typefaces())):
        lacking = sum(_lacks(sign, number) for sign in signs)
        if lacking < least:
            best, least = number, lacking
        if not lacking:
            break
    return _letters(best, size)


@lru_cache(maxsize=1)
def _typefaces() -> tuple[str, ...]:
    """What Pillow can open, the one to prefer first; "" stands for its own."""
    named = list(SYSTEM_FONTS)
    package = find_spec("matplotlib")  # it brings DejaVu along, for machines that have no fonts of their own
    if package is not None and package.submodule_search_locations:
        named.insert(1, str(Path(package.submodule_search_locations[0], "mpl-data/fonts/ttf/DejaVuSans.ttf")))
    found = [""]
    for name in named:
        try:
            ImageFont.truetype(name, PROBE)
        except OSError:
            continue
        found.append(name)
    return tuple(found)


@lru_cache(maxsize=64)
def _letters(number: int, size: int) -> ImageFont.FreeTypeFont:
    name = _typefaces()[number]
    if name:
        return ImageFont.truetype(name, size - 1)  # these typefaces are larger than Pillow's at the same size
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


@lru_cache(maxsize=8192)
def _lacks(sign: str, number: int) -> bool:
    font = _letters(number, PROBE)
    return bytes(font.getmask(sign)) == bytes(font.getmask(NOWHERE))
