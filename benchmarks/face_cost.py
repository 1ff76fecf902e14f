"""What a face costs after it was found and described: embedding and scoring by `compact`, on one core.

python -m benchmarks.face_cost
"""

from collections.abc import Callable
from platform import machine
from statistics import median, quantiles
from time import perf_counter

import numpy as np
import torch

from shared.captions.describer import describe
from shared.compute import PLAIN
from shared.memorability.catalogue import find
from shared.memorability.encoders import Encoders
from shared.memorability.scorer import Scorer

BATCH = 16  # faces, as the workers take them
ROUNDS = 15
LANDMARKS = np.array([[88, 96], [138, 96], [113, 126], [90, 148], [137, 148]], dtype=np.float32)


def main() -> None:
    """Print the median and the quartiles of milliseconds per face."""
    torch.set_num_threads(1)
    bundle = find("compact")
    encoders, scorer = Encoders(bundle, PLAIN), Scorer(bundle)
    crops = np.random.default_rng(0).integers(0, 256, (BATCH, 224, 224, 3), dtype=np.uint8)
    captions = [describe(crop, LANDMARKS) for crop in crops]
    states = encoders.encode(crops, captions)
    words = sum(len(face.words) for face in states) / BATCH
    print(f"{BATCH} faces at once, {words:.0f} words each, 1 thread, torch {torch.__version__}, {machine()}")
    embedding = timed("embedding", lambda: encoders.encode(crops, captions))
    scoring = timed("scoring", lambda: scorer.score(states))
    print(f"{'both':10} {embedding + scoring:6.1f} ms per face")


def timed(name: str, work: Callable[[], object]) -> float:
    """Milliseconds per face in the median; the first round only warms up."""
    work()
    taken = []
    for _ in range(ROUNDS):
        start = perf_counter()
        work()
        taken.append((perf_counter() - start) / BATCH * 1000)
    low, _, high = quantiles(taken, n=4)
    print(f"{name:10} {median(taken):6.1f} ms per face (quartiles {low:.1f} to {high:.1f})")
    return median(taken)


if __name__ == "__main__":
    main()
