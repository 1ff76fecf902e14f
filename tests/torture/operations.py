"""What clients and the dispatcher do in one transaction, by the functions that the API and the dispatcher call.

Each gives what is done with a connection, and what that may change. So it can be committed at once, or be left open
while other things happen. Where nothing is there to be done, it gives None.
"""

from collections.abc import Callable
from typing import NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import Connection

from shared.jobs import closing, deadlines, delivery, erase, pausing, rescore, sweep
from shared.jobs import retry as retrying
from shared.jobs.copies import hold_copies
from shared.jobs.in_hand import window_seconds
from shared.jobs.states import JobState, Stage
from shared.settings import Settings
from tests.torture import rules
from tests.torture.rules import Cause
from tests.torture.seen import Image, Job, Seen

COMPLETES = frozenset({("running", "completed"), ("paused", "completed")})
BUNDLES = ("1" * 64, "2" * 64)
# A job may cover more of its faces' scores again; more of them cost time and show nothing new.
MOST_JOBS = 4
STRANGER = "stranger"


class Operation(NamedTuple):
    """do: its part in the transaction; what it returns, if anything, is sent after COMMIT."""

    do: Callable[[Connection], list[delivery.Batch] | None]
    cause: Cause
    image: Image | None = None


def quiet(change: Callable[..., object], *arguments: object) -> Callable[[Connection], None]:
    """A change after which nothing is sent."""

    def do(connection: Connection) -> None:
        change(connection, *arguments)

    return do


def held(change: Callable[[Connection, UUID], object], job: UUID) -> Callable[[Connection], None]:
    """A change of a job that is still there, which the API locks first."""

    def do(connection: Connection) -> None:
        if delivery.hold_job(connection, job) is not None:
            change(connection, job)

    return do


def pause(seen: Seen, job: Job, _: int, settings: Settings) -> Operation:
    """Also of a job that has ended: the API refuses that, the functions must as well."""
    states = frozenset({("running", "paused")})
    return Operation(held(pausing.pause_job, job.id), Cause("pause", rules.is_paused(job.id), states, job.id))


def resume(seen: Seen, job: Job, _: int, settings: Settings) -> Operation:
    """Let a paused job go on."""
    states = frozenset({("paused", "running")})
    return Operation(held(pausing.resume_job, job.id), Cause("resume", rules.nothing, states, job.id))


def cancel(seen: Seen, job: Job, _: int, settings: Settings) -> Operation:
    """Withdraw a job."""
    states = frozenset({("running", "cancelled"), ("paused", "cancelled")})
    return Operation(held(closing.cancel_job, job.id), Cause("cancel", rules.is_cancelled(job.id), states, job.id))


def retry(seen: Seen, job: Job, _: int, settings: Settings) -> Operation:
    """Try failed images again, unless the job was cancelled."""

    def do(connection: Connection) -> None:
        hold_copies(connection, job.id)
        if delivery.hold_job(connection, job.id) not in (None, JobState.CANCELLED):
            retrying.retry(connection, job.id)

    states = frozenset({("completed", "running")})
    return Operation(do, Cause("retry", rules.is_retried(job.id), states, job.id))


def score_again(seen: Seen, job: Job, pick: int, settings: Settings) -> Operation | None:
    """Score a job's faces with another bundle; one that has not ended is refused."""
    if len(seen.jobs) >= MOST_JOBS:
        return None
    new = uuid4()
    cause = Cause("rescore", rules.is_new(new), frozenset({(None, "running")}), new)
    return Operation(quiet(rescore.rescore, job.id, new, BUNDLES[pick % 2]), cause)


def erase_job(seen: Seen, job: Job, pick: int, settings: Settings) -> Operation:
    """Delete a job; now and then one that belongs to somebody else, which must do nothing."""
    stranger = pick % 4 == 0
    order = erase.Order(STRANGER if stranger else job.tenant, "open", "request", window_seconds(settings))
    if stranger:
        return Operation(quiet(erase.erase_job, job.id, order), Cause("erase of another's job", rules.nothing))
    states = frozenset((str(state), None) for state in JobState)
    return Operation(quiet(erase.erase_job, job.id, order), Cause("erase job", rules.is_gone(job.id), states, job.id))


def erase_image(seen: Seen, job: Job, pick: int, settings: Settings) -> Operation | None:
    """Delete an image, with its copies."""
    images = seen.of_job(job.id)
    if not images:
        return None
    image = images[pick % len(images)]
    order = erase.Order(job.tenant, "open", "request", window_seconds(settings))
    cause = Cause("erase image", rules.is_gone_with_copies(image, seen))
    return Operation(quiet(erase.erase_image, image.id, order), cause, image)


def admit(seen: Seen, job: Job, pick: int, settings: Settings) -> Operation:
    """A dispatcher that knows of the job from some time ago, and lets up to so many of its images in at a stage."""
    stages = sorted({image.stage for image in seen.of_job(job.id) if image.state == "ready"}) or ["detection"]
    stage, lease = Stage(stages[pick % len(stages)]), settings.dispatch_lease_seconds

    def do(connection: Connection) -> list[delivery.Batch]:
        return delivery.admit(connection, job.id, stage, 1 + pick % 4, lease)

    return Operation(do, Cause("admit", rules.is_let_in))


def complete(seen: Seen, job: Job, _: int, settings: Settings) -> Operation:
    """Close all jobs that are done."""
    return Operation(quiet(closing.complete_jobs), Cause("complete", rules.nothing, COMPLETES))


def late(seen: Seen, job: Job, _: int, settings: Settings) -> Operation:
    """Fail a job that a dispatcher has seen to be late; it may not be any more."""
    return Operation(quiet(deadlines.fail_late, job.id), Cause("late", rules.is_late))


def undelivered(seen: Seen, job: Job, _: int, settings: Settings) -> Operation:
    """The sweeper, for messages."""
    return Operation(quiet(sweep.take_back_undelivered), Cause("undelivered", rules.is_taken_back))


def lost(seen: Seen, job: Job, _: int, settings: Settings) -> Operation:
    """The sweeper, for workers."""
    return Operation(quiet(sweep.take_back_lost, settings.max_attempts), Cause("lost", rules.is_taken_back))


# Some of them more often. As many as numbers that a step may have, so that any of them meets any job.
OPERATIONS: tuple[Callable[[Seen, Job, int, Settings], Operation | None], ...] = (
    *(pause, pause, resume, cancel, retry, retry, score_again, erase_job, erase_image, admit, admit, complete),
    *(late, undelivered, lost),
)
