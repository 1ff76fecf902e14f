"""The stages and states of images and jobs, and the moves between them, as data.

Only the modules beside this one write a state, and every write is a guarded UPDATE: it names the state it moves from,
and zero rows changed is an answer ("somebody else was first"), not an error.
"""

from enum import StrEnum


class Stage(StrEnum):
    """The stages, in the order in which an image passes them. Each has a queue of the same name."""

    INTAKE = "intake"
    DETECTION = "detection"
    CAPTIONING = "captioning"
    EMBEDDING = "embedding"
    SCORING = "scoring"

    @property
    def following(self) -> "Stage | None":
        """The next stage, or None after the last."""
        journey = list(Stage)
        place = journey.index(self) + 1
        return journey[place] if place < len(journey) else None


class ImageState(StrEnum):
    """Where one image stands. Together with `Stage` this is all there is to know; a message only rings the bell."""

    READY = "ready"
    """Its input for `stage` is there; it waits to be let in (or, after a failed attempt, for its `not_before`)."""

    DISPATCHED = "dispatched"
    """A message naming its `batch_id` was sent. Delivered or lost: the lease tells, not the broker."""

    RUNNING = "running"
    """A worker holds it under `lease_token` and renews the lease."""

    SUCCEEDED = "succeeded"
    """Every face has its score."""

    SKIPPED = "skipped"
    """Nothing to score, which is a result: `reason` says why (`no_face`)."""

    FAILED = "failed"
    """Given up: `reason` is the error's stable code."""

    CANCELLED = "cancelled"
    """The client withdrew the job before this image was finished."""


FINAL = frozenset({ImageState.SUCCEEDED, ImageState.SKIPPED, ImageState.FAILED, ImageState.CANCELLED})

IMAGE_MOVES: dict[ImageState, frozenset[ImageState]] = {
    ImageState.READY: frozenset({ImageState.DISPATCHED, ImageState.FAILED, ImageState.CANCELLED}),
    ImageState.DISPATCHED: frozenset(
        {
            ImageState.RUNNING,
            ImageState.READY,
            ImageState.FAILED,  # its job's deadline has passed
            ImageState.CANCELLED,
        }
    ),
    ImageState.RUNNING: frozenset(
        {
            ImageState.DISPATCHED,  # at the next stage
            ImageState.READY,  # to be tried again, or at the next stage of a job that was paused meanwhile
            ImageState.SUCCEEDED,
            ImageState.SKIPPED,
            ImageState.FAILED,
            ImageState.CANCELLED,
        }
    ),
    ImageState.SUCCEEDED: frozenset(),
    ImageState.SKIPPED: frozenset(),
    ImageState.FAILED: frozenset({ImageState.READY}),  # the client asked for another try
    ImageState.CANCELLED: frozenset(),
}


class JobState(StrEnum):
    """Where a job stands."""

    RUNNING = "running"
    """Accepted and committed; its images are on their way."""

    PAUSED = "paused"
    """Nothing more is let in until the client resumes it; what a worker has in hand is finished at its stage."""

    COMPLETED = "completed"
    """No image is unfinished any more; some may have failed. A retry of those makes it run again."""

    CANCELLED = "cancelled"
    """Withdrawn by the client; finished images keep their results."""


OPEN = frozenset({JobState.RUNNING, JobState.PAUSED})


class Priority(StrEnum):
    """Which of two jobs goes first where both have images waiting."""

    INTERACTIVE = "interactive"
    """Somebody waits for it."""

    BULK = "bulk"
    """It may take its time; it gets what interactive jobs leave, and never nothing."""
