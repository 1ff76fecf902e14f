"""What must hold: of everything after every step, and of each row that a step has changed."""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from uuid import UUID

from shared.jobs.delivery import Batch
from shared.jobs.states import FINAL, OPEN, ImageState, JobState, Stage
from tests.torture.seen import Image, Seen
from tests.torture.worker import BREAKS, SCORE

MAX_ATTEMPTS = 2
REASONS = {
    "skipped": "no_face",
    "later": "same_image",
    "part_away": "storage_unavailable",
    "transient": "fetch_failed",
    "permanent": "not_an_image",
    BREAKS: "internal_error",
}

Row = Image | None
Change = Callable[[Row, Row, Seen], bool]


@dataclass(frozen=True)
class Cause:
    """What a step may do: to an image (before, after, all before), and to a job's state (before, after)."""

    name: str
    images: Change
    jobs: frozenset[tuple[str | None, str | None]] = frozenset()
    only: UUID | None = None  # of jobs, this one


def must_hold(seen: Seen) -> None:
    """Of any database of ours, at any time."""
    counted = Counter((image.job, image.stage, image.state) for image in seen.images.values())
    assert counted == seen.counts, "the counters are not what count(*) says"
    for image in seen.images.values():
        assert shape(image) == SHAPES[ImageState(image.state)], f"batch, token, lease, end: {image}"
        assert image.attempt <= MAX_ATTEMPTS, f"more attempts than allowed: {image}"
        assert image.state != "running" or image.attempt > 0, f"an attempt that is not counted: {image}"
        assert image.state != "dispatched" or not image.held_back, f"let in before its time: {image}"
        scored = [score for score in seen.scores.get(image.id, []) if score is not None]
        assert scored == ([SCORE] if image.state == "succeeded" else []), f"not one result: {image} has {scored}"
        assert len(seen.scores.get(image.id, [])) <= 1, f"one face, twice: {image}"
    unfinished = {image.job for image in seen.images.values() if image.state not in FINAL}
    for job in seen.jobs.values():
        assert job.finished == (job.state not in OPEN), f"an end without a time, or the other way round: {job}"
        assert not job.finished or job.id not in unfinished, f"ended before its images: {job}"


def shape(image: Image) -> tuple[bool, bool, bool, bool]:
    """Whether it has a batch, a token, a lease and an end."""
    return image.batch is not None, image.token is not None, image.leased, image.finished


SHAPES = {
    ImageState.READY: (False, False, False, False),
    ImageState.DISPATCHED: (True, False, True, False),
    ImageState.RUNNING: (True, True, True, False),
    **dict.fromkeys(FINAL, (False, False, False, True)),
}


def check(before: Seen, after: Seen, cause: Cause) -> None:
    """That nothing changed but what the cause may change, and that as it must."""
    for image_id in before.images.keys() | after.images.keys():
        was, now = before.images.get(image_id), after.images.get(image_id)
        assert was == now or cause.images(was, now, before), f"{cause.name} made of {was}: {now}"
        assert was != now or before.scores.get(image_id) == after.scores.get(image_id), f"{cause.name} wrote to {was}"
    for job_id in before.jobs.keys() | after.jobs.keys():
        old, new = before.jobs.get(job_id), after.jobs.get(job_id)
        states = (old and old.state, new and new.state)
        allowed = states in cause.jobs and (cause.only is None or cause.only in (job_id, (old or new).root))
        assert states[0] == states[1] or allowed, f"{cause.name} made of {old}: {new}"


def left_alone(image: Image, state: str, **changes: object) -> Image:
    """The image in another state, with nobody holding it any more."""
    free = {"batch": None, "token": None, "leased": False, "expired": False, "finished": state in FINAL}
    return image._replace(state=state, **{**free, **changes})


# --- Who may do what to an image -----------------------------------------------------------------------------------


def nothing(was: Row, now: Row, before: Seen) -> bool:
    """For steps that touch no image."""
    return False


def goes_on(was: Row, now: Row, before: Seen) -> bool:
    """Whatever is not finished moves; nothing else does, and nothing is lost."""
    return was is not None and now is not None and was.state not in FINAL


def is_let_in(was: Row, now: Row, before: Seen) -> bool:
    """ready -> dispatched, of a running job, when its time has come, under a message of its own."""
    if was is None or now is None or now.batch is None:
        return False
    opened = was._replace(state="dispatched", batch=now.batch, leased=True, reason=None)
    return now == opened and was.state == "ready" and not was.held_back and running(was, before)


def running(image: Image, before: Seen) -> bool:
    """Whether its job runs."""
    return before.jobs[image.job].state == JobState.RUNNING


def is_claimed(batch: Batch, token: UUID | None, paused_well: Collection[UUID]) -> Change:
    """dispatched -> running, by the message that names it and no other, at its stage."""

    def claimed(was: Row, now: Row, before: Seen) -> bool:
        if was is None or now is None:
            return False
        named = was.state == "dispatched" and was.batch == batch.id and was.id in batch.image_ids
        taken = was._replace(state="running", token=token, attempt=was.attempt + 1, expired=False)
        return named and was.stage == batch.stage and now == taken and was.job not in paused_well

    return claimed


def is_concluded(token: UUID | None, told: dict[int, str]) -> Change:
    """running -> what its worker said of it, if the worker still holds it."""

    def concluded(was: Row, now: Row, before: Seen) -> bool:
        if was is None or now is None or was.id not in told:
            return False
        mine = was.state == "running" and was.token == token
        paused = before.jobs[was.job].state == JobState.PAUSED
        return mine and now == verdict(was, told[was.id], now.batch, paused=paused)

    return concluded


def verdict(was: Image, outcome: str, batch: UUID | None, *, paused: bool) -> Image:
    """What is to become of a running image."""
    reason, stage = REASONS.get(outcome), Stage(was.stage)
    if outcome == "finished" or (outcome == "done" and stage.following is None):
        attempt = was.attempt if stage == Stage.SCORING else 0
        return left_alone(was, "succeeded", stage="scoring", attempt=attempt, reason=None, held_back=False)
    if outcome == "done":
        onward = was._replace(stage=str(stage.following), attempt=0, reason=None, held_back=False)
        if paused:
            return left_alone(onward, "ready")
        assert batch != was.batch, "the next stage's message has the name of the last one's"
        return onward._replace(state="dispatched", batch=batch, token=None, leased=batch is not None, expired=False)
    if outcome in ("later", "part_away"):
        return left_alone(was, "ready", attempt=was.attempt - 1, reason=reason, held_back=True)
    if outcome == "skipped":
        return left_alone(was, "skipped", reason=reason, held_back=False)
    again = outcome != "permanent" and was.attempt < MAX_ATTEMPTS
    state = "ready" if again else "failed"
    return left_alone(was, state, reason=reason, held_back=again, failures=was.failures + 1)


def is_taken_back(was: Row, now: Row, before: Seen) -> bool:
    """By the sweeper: its lease had run out. A worker that was lost has cost an attempt, a message has not."""
    if was is None or not was.expired:
        return False
    if was.state == "dispatched":
        return now == left_alone(was, "ready")
    failed = was.attempt >= MAX_ATTEMPTS
    reason = "worker_lost" if failed else None
    lost = left_alone(was, "failed" if failed else "ready", reason=reason, failures=was.failures + 1)
    return was.state == "running" and now == lost


def is_swept(was: Row, now: Row, before: Seen) -> bool:
    """By any of the seldom rounds."""
    return any(change(was, now, before) for change in (is_taken_back, is_unrung, is_late))


def in_part(step: str) -> Change:
    """What the first transactions of a step may do whose next one fails. Other steps have one, or let images in."""
    return is_swept if step in ("sweep", "silence") else is_let_in


def is_unrung(was: Row, now: Row, before: Seen) -> bool:
    """dispatched -> ready, because no message waits for it."""
    return was is not None and was.state == "dispatched" and now == left_alone(was, "ready")


def is_paused(job: UUID) -> Change:
    """dispatched -> ready, of this job."""
    return lambda was, now, before: was is not None and was.job == job and is_unrung(was, now, before)


def is_cancelled(job: UUID) -> Change:
    """What was unfinished of this job ends."""

    def cancelled(was: Row, now: Row, before: Seen) -> bool:
        return was is not None and was.job == job and was.state not in FINAL and now == left_alone(was, "cancelled")

    return cancelled


def is_late(was: Row, now: Row, before: Seen) -> bool:
    """What was unfinished of a job whose deadline has passed fails; what a worker had in hand was an attempt."""
    if was is None or was.state in FINAL or not before.jobs[was.job].late:
        return False
    failures = was.failures + (was.state == "running")
    return now == left_alone(was, "failed", reason="deadline_passed", failures=failures)


def is_retried(job: UUID) -> Change:
    """failed -> ready, of this job, as if it had just come to its stage."""

    def retried(was: Row, now: Row, before: Seen) -> bool:
        if was is None or was.job != job or was.state != "failed":
            return False
        stage = "embedding" if was.stage == "scoring" else was.stage
        return now == left_alone(was, "ready", stage=stage, attempt=0, reason=None, held_back=False)

    return retried


def is_new(job: UUID) -> Change:
    """Images that appear, with this job."""
    return lambda was, now, before: was is None and now is not None and now.job == job


def is_gone(job: UUID) -> Change:
    """Images that disappear, with this job and those that score its faces again."""

    def gone(was: Row, now: Row, before: Seen) -> bool:
        return was is not None and now is None and job in (was.job, before.jobs[was.job].root)

    return gone


def is_gone_with_copies(image: Image, before: Seen) -> Change:
    """An image that disappears, and its copies in the jobs that score the same faces again."""

    def gone(was: Row, now: Row, _: Seen) -> bool:
        copy = was is not None and before.jobs[was.job].root == image.job and was.position == image.position
        return was is not None and now is None and (was.id == image.id or copy)

    return gone
