"""One process of the other sides of benchmarks.pipeline: the bare loop over the same networks, or the naive script.

It loads everything, does one photograph to warm up, says `ready`, and then does what each line of its input asks for:
numbers of photographs `first last step`. After each it says how many faces it scored.

python -m benchmarks.bare bare|naive BUNDLE LONG_SIDE MIN_FACE THREADS
"""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.photographs import jpeg, portrait
from benchmarks.reference import LONGEST
from shared.captions.describer import describe
from shared.compute import PLAIN, Compute
from shared.faces.finder import FaceFinder
from shared.faces.torchvision_ops import allow_cpu_torch
from shared.images.crop import crop_face, to_crop
from shared.images.decode import decode
from shared.memorability.catalogue import find
from shared.memorability.encoders import Encoders, text_of, visual_of
from shared.memorability.encoders import encode as encode_with
from shared.memorability.scorer import Scorer
from shared.pipeline.stages import BATCH_IMAGES

THRESHOLD, MARGIN, MOST_PIXELS = 0.95, 0.25, 100_000_000
SIDE = 1024  # pixels of a photograph

Loop = Callable[[list[bytes]], int]


def bare(bundle: Path, long_side: int, min_face: int) -> Loop:
    """Faces found, cut out, described and scored in batches, by the functions that the workers run; nothing is kept."""
    compute = Compute.chosen("cpu")
    finder = FaceFinder(compute, min_face, THRESHOLD)
    facts = find(str(bundle))
    encoders, scorer = Encoders(facts, compute), Scorer(facts)

    def loop(photographs: list[bytes]) -> int:
        faces = 0
        for start in range(0, len(photographs), BATCH_IMAGES):
            crops, captions = [], []
            for content in photographs[start : start + BATCH_IMAGES]:
                seen = decode(content, max_pixels=MOST_PIXELS, long_side=long_side)
                found = finder.find([seen.pixels])[0]
                full = seen if seen.scale == 1 or not found else decode(content, max_pixels=MOST_PIXELS)
                for face in found:
                    left, top, right, bottom = (edge / seen.scale for edge in face.box)
                    crop = crop_face(full.pixels, (left, top, right, bottom), margin=MARGIN)
                    crops.append(crop.pixels)
                    captions.append(describe(crop.pixels, to_crop(face.landmarks / seen.scale, crop.box)))
            if crops:
                faces += len(scorer.score(encoders.encode(np.stack(crops), captions)))
        return faces

    return loop


def naive(bundle: Path, _long_side: int, min_face: int) -> Loop:
    """As one would write it first: a photograph after the other, a face at a time, float32, captions padded."""
    allow_cpu_torch()
    from facenet_pytorch import MTCNN  # imports torchvision, which needs the line above

    mtcnn = MTCNN(min_face_size=min_face, keep_all=True).eval()
    facts = find(str(bundle))
    visual, text, scorer = visual_of(facts), text_of(facts, PLAIN.device), Scorer(facts)
    text._tokenizer.enable_padding(length=LONGEST)

    def faces_of(picture: Image.Image) -> Iterator[tuple[np.ndarray, str]]:
        boxes, scores, landmarks = mtcnn.detect(picture, landmarks=True)
        if boxes is None:
            return
        pixels = np.asarray(picture)
        for box, score, points in zip(boxes, scores, landmarks, strict=True):
            if score >= THRESHOLD:
                crop = crop_face(pixels, (*map(float, box),), margin=MARGIN)
                yield crop.pixels, describe(crop.pixels, to_crop(points, crop.box))

    def loop(photographs: list[bytes]) -> int:
        faces = 0
        for content in photographs:
            for crop, caption in faces_of(Image.open(BytesIO(content)).convert("RGB")):
                scorer.score(encode_with(visual, text, crop[None], [caption], torch.float32))
                faces += 1
        return faces

    return loop


def main() -> None:
    """Serve lines until the input ends."""
    kind, bundle, long_side, min_face, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    loop = {"bare": bare, "naive": naive}[kind](Path(bundle), int(long_side), int(min_face))
    photograph = partial(portrait, side=SIDE)
    loop([jpeg(photograph(0))])
    print("ready", flush=True)
    for line in sys.stdin:
        contents = [jpeg(photograph(number)) for number in range(*map(int, line.split()))]
        print("made", flush=True)
        sys.stdin.readline()
        print(loop(contents), flush=True)


if __name__ == "__main__":
    main()
