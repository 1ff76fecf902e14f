"""Photographs for benchmarks, as many different ones as asked, from the portraits that installed packages carry."""

import numpy as np
from PIL import Image, ImageEnhance

from services.samples import ASTRONAUT, HOPPER, packaged
from shared.images.decode import encode_jpeg

SMALLEST, LARGEST = 0.1, 0.6  # of a portrait's height in its photograph
MOST_PEOPLE = 6


def composed(number: int, side: int) -> Image.Image:
    """Photograph `number`, `side` pixels on its longer side: one to six people of mixed sizes before a still life,
    upright or across, in changing light. The same number gives the same photograph.
    """
    random = np.random.default_rng(number)
    size = (side, side * 3 // 4) if random.random() < 0.5 else (side * 3 // 4, side)
    picture = packaged("skimage", "data/coffee.png").convert("RGB").resize(size)
    people = [packaged(*HOPPER).crop((100, 40, 420, 420)), packaged(*ASTRONAUT).crop((120, 0, 340, 260))]
    for _ in range(int(random.integers(1, MOST_PEOPLE + 1))):
        person = people[int(random.integers(2))].convert("RGB")
        height = int(size[1] * random.uniform(SMALLEST, LARGEST))
        person = person.resize((height * person.width // person.height, height), Image.Resampling.BICUBIC)
        if random.random() < 0.5:
            person = person.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        person = ImageEnhance.Brightness(person).enhance(float(random.uniform(0.6, 1.3)))
        place = (int(random.integers(0, size[0] - person.width + 1)), int(random.integers(0, size[1] - height + 1)))
        picture.paste(person, place)
    return picture


def portrait(number: int, side: int) -> Image.Image:
    """Portrait `number`, `side` pixels on its longer side: one person, cut and lit a little differently each time."""
    random = np.random.default_rng(number)
    picture = packaged(*(HOPPER, ASTRONAUT)[number % 2]).convert("RGB")
    left, top, right, bottom = (int(edge) for edge in random.integers(0, 25, 4))
    picture = picture.crop((left, top, picture.width - right, picture.height - bottom))
    scale = side / max(picture.size)
    size = (round(picture.width * scale), round(picture.height * scale))
    picture = ImageEnhance.Brightness(picture.resize(size, Image.Resampling.BICUBIC)).enhance(random.uniform(0.7, 1.2))
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else picture


def jpeg(picture: Image.Image) -> bytes:
    """A photograph as a file."""
    return encode_jpeg(np.asarray(picture))
