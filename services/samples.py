"""The sample set of `facemem demo`: photographs that installed packages carry, and what can be made from them.

Both portraits and the pictures without a face come with matplotlib and scikit-image, whose notes name their origin; the
portraits are works of the US Navy and of NASA and in the public domain.
"""

import io
from importlib.util import find_spec
from pathlib import Path

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from shared.errors import StartFailed
from shared.images.decode import ORIENTATION_TAG

HOPPER = ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg")
ASTRONAUT = ("skimage", "data/astronaut.png")
FACELESS = {"coffee.jpg": "data/coffee.png", "rocket.jpg": "data/rocket.jpg", "cat.jpg": "data/chelsea.png"}

# Head and shoulders, as shares of the portrait: left, top, right, bottom.
HOPPER_BUST = (0.0, 0.0, 1.0, 0.75)
ASTRONAUT_BUST = (0.12, 0.0, 0.72, 0.45)
TILE = (560, 420)  # pixels of one person in the group picture
GAP = 20
QUALITY = 92
# Enough of a JPEG to begin to decode it, too little to end.
BROKEN_SHARE = 0.4
NO_IMAGE = "This is a text file that somebody gave the wrong name.\n"


def write_samples(folder: Path) -> list[Path]:
    """Writes the sample set into `folder`, which is created, and returns its files in the order to submit them.

    Raises StartFailed if the packages that carry the photographs are not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    hopper, astronaut = packaged(*HOPPER), packaged(*ASTRONAUT)
    pictures = {
        "grace-hopper.jpg": hopper,
        "astronaut.png": astronaut,
        "group.jpg": group(hopper, astronaut),
        "grace-hopper-mirrored.webp": ImageOps.mirror(hopper),
        "grace-hopper-small.jpg": hopper.resize((hopper.width // 5, hopper.height // 5), Image.Resampling.LANCZOS),
        "astronaut-dark.jpg": ImageEnhance.Brightness(astronaut).enhance(0.3),
        "astronaut-blurred.jpg": astronaut.filter(ImageFilter.GaussianBlur(6)),
        **{name: packaged("skimage", path) for name, path in FACELESS.items()},
    }
    for name, picture in pictures.items():
        picture.save(folder / name, quality=QUALITY)
    _save_turned(astronaut, folder / "astronaut-turned.jpg")
    _save_broken(hopper, folder / "broken.jpg")
    (folder / "not-an-image.jpg").write_text(NO_IMAGE)
    names = [*pictures, "astronaut-turned.jpg", "broken.jpg", "not-an-image.jpg"]
    return [folder / name for name in names]


def packaged(package: str, path: str) -> Image.Image:
    """A photograph that lies in an installed package. Raises StartFailed if the package is not there."""
    # Found without being imported, which would take a second for either package.
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise StartFailed(f"The demo's photographs come with {package}: pip install 'facemem[samples]'.")
    return Image.open(Path(found.submodule_search_locations[0], path)).convert("RGB")


def group(hopper: Image.Image, astronaut: Image.Image) -> Image.Image:
    """Four people as in a video call, none of them looking quite as in their own portrait."""
    people = [
        ImageEnhance.Color(_bust(hopper, HOPPER_BUST)).enhance(1.2),
        ImageOps.mirror(_bust(astronaut, ASTRONAUT_BUST)),
        ImageEnhance.Contrast(_bust(astronaut, ASTRONAUT_BUST)).enhance(0.7),
        ImageOps.grayscale(ImageOps.mirror(_bust(hopper, HOPPER_BUST))),
    ]
    width, height = TILE
    group = Image.new("RGB", (2 * width + 3 * GAP, 2 * height + 3 * GAP), (32, 34, 40))
    mask = Image.new("L", TILE)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, width - 1, height - 1), radius=GAP, fill=255)
    for place, person in enumerate(people):
        row, column = divmod(place, 2)
        corner = (GAP + column * (width + GAP), GAP + row * (height + GAP))
        group.paste(
            ImageOps.fit(person.convert("RGB"), TILE, Image.Resampling.LANCZOS, centering=(0.5, 0.2)), corner, mask
        )
    return group


def _bust(portrait: Image.Image, part: tuple[float, float, float, float]) -> Image.Image:
    left, top, right, bottom = part
    width, height = portrait.size
    return portrait.crop((round(left * width), round(top * height), round(right * width), round(bottom * height)))


def _save_turned(picture: Image.Image, path: Path) -> None:
    """Lying on its side, with the note in its EXIF part that says how to turn it upright."""
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    picture.transpose(Image.Transpose.ROTATE_90).save(path, quality=QUALITY, exif=exif)


def _save_broken(picture: Image.Image, path: Path) -> None:
    whole = io.BytesIO()
    picture.save(whole, "JPEG", quality=QUALITY)
    path.write_bytes(whole.getvalue()[: round(BROKEN_SHARE * whole.tell())])
