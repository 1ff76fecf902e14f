"""What logs tell of a batch: a line when a worker begins it, one when it is done, and one for each other end of images.

A line for each image would be five for each of a million; a batch names all of its images in one.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import structlog

from shared.jobs.delivery import Batch, ClaimedImage, Verdict
from shared.jobs.states import ImageState

log = structlog.get_logger()


def fields(batch: Batch, images: Sequence[ClaimedImage]) -> dict[str, Any]:
    """What every line about this delivery has, whoever writes it."""
    return {
        "job": str(images[0].job_id),  # a batch is of one job
        "stage": str(batch.stage),
        "batch": str(batch.id),
        "images": [image.id for image in images],
        # Those of a batch are all at their first; who failed before travels alone.
        "attempt": max(image.attempt for image in images),
    }


def ends(verdicts: Sequence[Verdict]) -> None:
    """A line for each end that images came to, and for each reason to wait. That others go on goes without saying.

    To be called after COMMIT.
    """
    alike: dict[tuple[ImageState, str | None], list[int]] = defaultdict(list)
    for verdict in verdicts:
        if verdict.state != ImageState.DISPATCHED:
            alike[verdict.state, verdict.reason].append(verdict.image_id)
    for (state, reason), images in alike.items():
        why = {} if reason is None else {"reason": reason}
        log.info("put_back" if state == ImageState.READY else str(state), images=images, **why)
