"""Real photographs that installed packages carry, and variations of them."""

from io import BytesIO
from pathlib import Path

import matplotlib
import skimage
from PIL import Image, ImageEnhance, ImageOps

HOPPER = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
ASTRONAUT = Path(skimage.__file__).parent / "data" / "astronaut.png"
COFFEE = Path(skimage.__file__).parent / "data" / "coffee.png"


def jpeg(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def portraits(number: int) -> list[tuple[str, bytes]]:
    """So many different photographs with one face each: two portraits, mirrored, brightened and scaled."""
    made = []
    for index in range(number):
        image: Image.Image = Image.open((HOPPER, ASTRONAUT)[index % 2]).convert("RGB")
        if index // 2 % 2:
            image = ImageOps.mirror(image)
        image = ImageEnhance.Brightness(image).enhance(0.8 + 0.05 * (index // 4 % 8))
        side = 400 + 10 * (index // 32)
        image.thumbnail((side, side))
        made.append((f"portrait-{index:03}.jpg", jpeg(image)))
    return made


def faceless() -> bytes:
    return COFFEE.read_bytes()
