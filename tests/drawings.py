"""Drawings made from a portrait's crop, uint8 (224, 224, 3) RGB: what has to be told from photographs."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

LINES_ABOVE = 110  # steps of grey across two pixels that get a black line in a cartoon


def posterised(crop: np.ndarray, levels: int = 5) -> np.ndarray:
    """So many levels of red, green and blue."""
    return (np.floor(crop / 256 * levels) * 255 / (levels - 1)).clip(0, 255).astype(np.uint8)


def few_colours(crop: np.ndarray) -> np.ndarray:
    """Twelve colours without a pattern of dots, on smoothed areas."""
    smooth = Image.fromarray(crop).filter(ImageFilter.MedianFilter(5))
    return np.asarray(smooth.quantize(12, dither=Image.Dither.NONE).convert("RGB"))


def binarised(crop: np.ndarray) -> np.ndarray:
    """Black and white."""
    return np.asarray(Image.fromarray(crop).convert("L").point(lambda grey: 255 * (grey > 110)).convert("RGB"))


def cartoon(crop: np.ndarray, step: int = 24) -> np.ndarray:
    """Areas smoothed and reduced to tones of `step` levels, with dark lines where there are edges."""
    smooth = Image.fromarray(crop)
    for _ in range(3):
        smooth = smooth.filter(ImageFilter.MedianFilter(7))
    areas = (np.asarray(smooth) // step * step + step // 2).astype(np.uint8)
    grey = np.asarray(Image.fromarray(crop).convert("L").filter(ImageFilter.GaussianBlur(1.5)), dtype=float)
    down, across = np.gradient(grey)
    areas[np.hypot(down, across) * 8 > LINES_ABOVE] = 20
    return areas


def pencil(crop: np.ndarray) -> np.ndarray:
    """Grey divided by its own surroundings: lines and some shading on white paper."""
    grey = np.asarray(Image.fromarray(crop).convert("L"), dtype=float)
    inverse = Image.fromarray((255 - grey).astype(np.uint8)).filter(ImageFilter.GaussianBlur(6))
    paper = np.maximum(255 - np.asarray(inverse, dtype=float), 1)
    lines = np.clip(grey * 255 / paper, 0, 255).astype(np.uint8)
    return np.stack([lines] * 3, axis=2)


def vector(crop: np.ndarray) -> np.ndarray:
    """A round face in plain colours of the portrait."""
    picture = Image.new("RGB", (896, 896), tuple(map(int, crop[5, 5])))
    pen = ImageDraw.Draw(picture)
    pen.ellipse((200, 100, 700, 800), tuple(map(int, crop[112, 112])), (20, 20, 20), 8)
    for x in (350, 550):
        pen.ellipse((x - 50, 330, x + 50, 390), "white", (20, 20, 20), 6)
        pen.ellipse((x - 20, 340, x + 20, 380), (60, 40, 20))
    pen.line((450, 380, 470, 500, 440, 520), (120, 80, 60), 8)
    pen.chord((350, 520, 550, 680), 0, 180, (150, 30, 40))
    return np.asarray(picture.resize((224, 224), Image.Resampling.LANCZOS))
