"""The networks of a face: SE-ResNet-50, BERT and the head, against the plain way, and how far scores drift apart.

The plain way is torch's own: float32, captions padded to BERT's 512 tokens. Ours is what embedding and scoring run.
Both take the same 16 faces at once on one thread. The networks of `reference` have random weights here, because theirs
may not be passed on: they take as long, and their scores are as apart as rounding makes them. Their normalisations are
those of the faces, as after training. For `compact`, with its real weights, the drift is told as well.

python -m benchmarks.networks [--quick] [--json]
"""

from copy import deepcopy

import numpy as np
import torch
from scipy.stats import spearmanr

from benchmarks.measure import Row, arguments, side_by_side, tell
from benchmarks.photographs import portrait
from benchmarks.reference import LONGEST, fit, networks, settle
from shared.captions.describer import describe
from shared.compute import PLAIN, Compute
from shared.faces.finder import FaceFinder
from shared.images.crop import crop_face, to_crop
from shared.memorability.catalogue import find
from shared.memorability.cross_attention import CrossAttention
from shared.memorability.encoders import Encoders, encode, prepare
from shared.memorability.scorer import Scorer, padded, sigmoid
from shared.memorability.se_resnet import SEResNet50
from shared.memorability.states import FaceStates
from shared.memorability.text_encoder import BertEncoder

BAR, RANK_BAR, DRIFT_BAR = 9.0, 0.999, 0.005
FACES, BATCH = 256, 16
PAIRS = 5


def main() -> None:
    """Print a table."""
    asked = arguments(__doc__)
    torch.set_num_threads(1)
    crops, captions = faces(FACES // 4 if asked.quick else FACES)
    rows = [*reference(crops, captions, 2 if asked.quick else PAIRS), *compact(crops, captions)]
    tell(rows, asked.json, ("torch", "transformers"))


def reference(crops: np.ndarray, captions: list[str], pairs: int) -> list[Row]:
    """Time and drift of the large networks."""
    visual, text, head = networks()
    settle(visual, crops[:BATCH])
    fit(head, encode(visual, text, crops[:BATCH], captions[:BATCH], PLAIN.dtype))
    ours_visual, ours_text, compute = deepcopy(visual), deepcopy(text), Compute.chosen("cpu")
    prepare(ours_visual, ours_text, compute)
    dtype = compute.dtype

    def ours(batch: slice = slice(BATCH)) -> list[float]:
        return scored(head, encode(ours_visual, ours_text, crops[batch], captions[batch], dtype))

    def plain(batch: slice = slice(BATCH)) -> list[float]:
        return scored(head, padded_to_the_end(visual, text, crops[batch], captions[batch]))

    took = side_by_side(ours, plain, pairs)
    batches = [slice(start, start + BATCH) for start in range(0, len(captions), BATCH)]

    def unpadded(batch: slice) -> list[float]:
        return scored(head, encode(visual, text, crops[batch], captions[batch], PLAIN.dtype))

    each = [seconds / BATCH * 1000 for seconds in (took.ours_seconds, took.peer_seconds)]
    ours_scores, plain_scores = (np.concatenate([side(batch) for batch in batches]) for side in (ours, unpadded))
    timed = Row(
        "networks",
        "SE-ResNet-50, BERT and head for a face",
        "eager float32, captions padded to 512",
        f"{each[0]:.0f} ms ({str(dtype).removeprefix('torch.')})",
        f"{each[1]:.0f} ms",
        took.ratio,
        took.low,
        took.high,
        BAR,
    )
    return [timed, *drifted("SE-ResNet-50, BERT and head, random weights", ours_scores, plain_scores)]


def compact(crops: np.ndarray, captions: list[str]) -> list[Row]:
    """Drift of the bundle that ships."""
    bundle = find("compact")
    scorer = Scorer(bundle)
    ours, plain = (
        np.array([face.score for face in scorer.score(Encoders(bundle, compute).encode(crops, captions))])
        for compute in (Compute.chosen("cpu"), PLAIN)
    )
    return drifted("compact", ours, plain)


def drifted(what: str, ours: np.ndarray, plain: np.ndarray) -> list[Row]:
    """How far scores are from those in float32."""
    rank = float(spearmanr(ours, plain).statistic)
    apart = np.abs(ours - plain)
    faces, spread = f"{len(ours)} faces", f"scores spread by {plain.std():.3f}"
    against = "float32"
    return [
        Row(
            "networks",
            f"{what}: order of scores",
            against,
            faces,
            spread,
            rank,
            rank,
            rank,
            RANK_BAR,
            "rank correlation",
        ),
        Row(
            "networks",
            f"{what}: largest drift of a score",
            against,
            faces,
            spread,
            float(apart.max()),
            float(np.median(apart)),
            float(apart.max()),
            DRIFT_BAR,
            "of 1",
            at_most=True,
        ),
    ]


@torch.inference_mode()
def padded_to_the_end(
    visual: SEResNet50, text: BertEncoder, crops: np.ndarray, captions: list[str]
) -> list[FaceStates]:
    """The plain way: every caption takes the time of the longest possible one."""
    tokenizer = text._tokenizer
    tokenizer.enable_padding(length=LONGEST)
    try:
        return encode(visual, text, crops, captions, torch.float32)
    finally:
        tokenizer.no_padding()


@torch.inference_mode()
def scored(head: CrossAttention, states: list[FaceStates]) -> list[float]:
    """Scores of faces, 0..1, spread out so that they differ."""
    return [sigmoid(float(logit)) for logit in head(*padded(states)).logits]


def faces(count: int) -> tuple[np.ndarray, list[str]]:
    """So many portraits, cut out and described."""
    finder = FaceFinder(Compute.chosen("cpu"), 40, 0.9)
    crops, captions, number = [], [], 0
    while len(crops) < count:
        pixels = np.asarray(portrait(number, 512))
        number += 1
        for face in finder.find([pixels])[0][:1]:
            crop = crop_face(pixels, face.box, margin=0.25)
            crops.append(crop.pixels)
            captions.append(describe(crop.pixels, to_crop(face.landmarks, crop.box)))
    return np.stack(crops), captions


if __name__ == "__main__":
    main()
