"""What the metrics tell of batches, and of images that were given up: a few numbers for each, after its transaction."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from shared import metrics
from shared.jobs.delivery import Verdict
from shared.jobs.states import ImageState, Stage


@contextmanager
def in_hand(stage: Stage, images: int) -> Iterator[None]:
    """While a worker has a batch of so many images in hand."""
    metrics.ATTEMPTS.labels(stage).inc(images)
    metrics.BATCH_IMAGES.labels(stage).observe(images)
    with metrics.BATCHES_IN_HAND.labels(stage).track_inprogress(), metrics.BATCH_SECONDS.labels(stage).time():
        yield


def concluded(stage: Stage, verdicts: Iterable[Verdict], lost: int) -> None:
    """What became of images at a stage. Call it after COMMIT."""
    for (outcome, reason), images in Counter(map(_outcome, verdicts)).items():
        metrics.IMAGES.labels(stage, outcome).inc(images)
        if reason is not None:
            metrics.FAILURES.labels(stage, reason, outcome).inc(images)
    if lost:
        metrics.IMAGES.labels(stage, "lost").inc(lost)


def given_up(stage: str, reason: str, images: int) -> None:
    """That the dispatcher failed so many images at a stage. Call it after COMMIT."""
    metrics.IMAGES.labels(stage, "failed").inc(images)
    metrics.FAILURES.labels(stage, reason, "failed").inc(images)


def _outcome(verdict: Verdict) -> tuple[str, str | None]:
    """In one word, and why if the image did not go on."""
    if verdict.state == ImageState.FAILED:
        return "failed", verdict.reason
    if verdict.state == ImageState.READY and verdict.reason is not None:
        return "retried" if verdict.counted else "waiting", verdict.reason
    if verdict.state in (ImageState.SUCCEEDED, ImageState.SKIPPED):
        return str(verdict.state), None
    return "passed", None
