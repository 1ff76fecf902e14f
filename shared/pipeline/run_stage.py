"""The frame around every stage's work: claim, work, save, move on.

A stage brings two functions. `work` computes: images in, one outcome for each out; it may read the database and object
storage, and write objects whose keys carry the token. `save` writes the outputs' rows. Outputs, states and counters are
one transaction, in which only images still held by this delivery's token are touched; messages go out after COMMIT.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from shared import tracing
from shared.database.session import autocommitting
from shared.errors import (
    FacememError,
    InternalError,
    PartUnavailable,
    PermanentError,
    StorageUnavailable,
    TransientError,
)
from shared.jobs import delivery, erase, strays
from shared.jobs.delivery import Batch, ClaimedImage, Verdict
from shared.jobs.states import ImageState, JobState, Stage
from shared.pipeline import counting, told
from shared.pipeline.connections import Connections
from shared.pipeline.lease import renewed
from shared.pipeline.messages import send
from shared.settings import Settings
from shared.storage import keys

log = structlog.get_logger()

# What is done of a batch is kept back for so long at most, while more of it is worked on.
SAVE_SECONDS = 5.0


@dataclass(frozen=True)
class Done:
    """The image goes on to the next stage, or has succeeded at the last."""

    image: ClaimedImage
    output: Any = None


@dataclass(frozen=True)
class Skipped:
    """There is nothing (more) to do for the image, which is a result."""

    image: ClaimedImage
    reason: str
    detail: str
    output: Any = None


@dataclass(frozen=True)
class Finished:
    """The image has succeeded here and now: what later stages would make of it is in the output as well."""

    image: ClaimedImage
    output: Any = None


@dataclass(frozen=True)
class Later:
    """The image waits for something that is on its way, no attempt counted; `reason` and `detail` say for what."""

    image: ClaimedImage
    seconds: float
    reason: str
    detail: str


@dataclass(frozen=True)
class Failed:
    """The image failed: for good, or for now if the error is a TransientError."""

    image: ClaimedImage
    error: FacememError


Saved = Done | Skipped | Finished
Outcome = Saved | Later | Failed
Work = Callable[[list[ClaimedImage], UUID], Iterable[Outcome]]
Save = Callable[[Connection, list[Saved]], None]
GettingOn = Callable[[], None]
Written = tuple[list[Batch], list[int]]  # the batches that go on; the images that this delivery had lost


def run_stage(
    connections: Connections, batch: Batch, work: Work, save: Save, getting_on: GettingOn = lambda: None
) -> None:
    """Do one delivered batch. A message that has nothing to claim any more is ignored.

    getting_on: is called whenever some of it is saved.

    Raises OperationalError when Postgres is away; then nothing was saved, and the lease brings the images back.
    """
    settings = connections.settings
    token = uuid4()
    # One statement, which is its own transaction. All that it can move is from dispatched to running.
    with autocommitting(connections.database) as connection:
        images = delivery.claim(connection, batch, token, settings.run_lease_seconds)
    if not images:
        log.info("nothing_to_claim", stage=batch.stage, batch=str(batch.id), images=list(batch.image_ids))
        return
    with structlog.contextvars.bound_contextvars(**told.fields(batch, images)):
        _do(connections, batch, images, token, work, save, getting_on)


def _do(
    connections: Connections,
    batch: Batch,
    images: list[ClaimedImage],
    token: UUID,
    work: Work,
    save: Save,
    getting_on: GettingOn,
) -> None:
    """Work on what was claimed, and save it portion by portion."""
    log.info("batch_begun")
    started = monotonic()
    lost: list[int] = []
    job_id, ids = images[0].job_id, [image.id for image in images]
    with (
        tracing.span(f"{batch.stage} batch", job_id, images=ids, batch=str(batch.id)),
        counting.in_hand(batch.stage, len(images)),
    ):
        try:
            with renewed(connections, [image.id for image in images], token):
                for outcomes in portions(_outcomes(work, images, token)):
                    following, fenced = _finish(connections, batch.stage, token, outcomes, save)
                    send(connections.celery, following, images[0].priority)
                    lost += fenced
                    getting_on()
            if lost:
                _clear_lost(connections, job_id, lost, token)
        except _JobDeleted:
            _take_back(connections, job_id, token)
            return
        except OperationalError as error:
            log.warning("batch_not_saved", error=type(error).__name__)
            raise
        log.info("batch_done", seconds=round(monotonic() - started, 3))


class _JobDeleted(Exception):
    """The job was deleted while a batch of it was worked on."""


def _take_back(connections: Connections, job_id: UUID, token: UUID) -> None:
    """Remove what this delivery stored of a deleted job. If storage is away, the dispatcher's later sweeps do it."""
    prefix = keys.job(job_id)
    try:
        mine = [key for key in connections.objects.keys(prefix) if str(token) in key]
        connections.objects.delete(mine)
    except StorageUnavailable as error:
        log.warning("not_taken_back", error=error.detail)
        return
    with connections.database.begin() as connection:
        erase.count_removed(connection, prefix, len(mine))
    log.info("job_deleted", objects=len(mine))


def _clear_lost(connections: Connections, job_id: UUID, image_ids: list[int], token: UUID) -> None:
    """Remove what this delivery stored of images that it had lost. If storage is away, tidying the job does it."""
    try:
        stored = strays.stored_under(connections.objects, job_id, image_ids, token)
        with connections.database.connect() as connection:
            left = strays.unnamed(connection, job_id, stored)
        connections.objects.delete(left)
    except StorageUnavailable as error:
        log.warning("not_cleared", error=error.detail)


def _outcomes(work: Work, images: list[ClaimedImage], token: UUID) -> Iterator[Outcome]:
    """The work's outcomes as they come. An error of the whole batch is an attempt of each image that has none yet;
    tried again, each travels alone.
    """
    left = {image.id: image for image in images}
    try:
        for outcome in work(images, token):
            left.pop(outcome.image.id, None)
            yield outcome
        return
    except TransientError as error:
        broken: FacememError = error
    except PermanentError as error:
        # With several, one of them is to blame, and the others shall not end with it.
        alone = len(images) == 1
        broken = error if alone else InternalError(f"Its batch could not be done: {error.detail}")
    except Exception as error:
        log.exception("stage_broke")
        broken = InternalError(f"It ended in {type(error).__name__}.")
    yield from (Failed(image, broken) for image in left.values())


def portions(outcomes: Iterator[Outcome]) -> Iterator[list[Outcome]]:
    """All of them at once if they come at once. Of slow work, what is done is saved every few seconds: so it is seen,
    goes on, and is not lost with its worker.
    """
    portion: list[Outcome] = []
    due = 0.0
    for outcome in outcomes:
        now = monotonic()
        if not portion:
            due = now + SAVE_SECONDS
        portion.append(outcome)
        if now >= due:
            yield portion
            portion = []
    if portion:
        yield portion


def _finish(connections: Connections, stage: Stage, token: UUID, outcomes: list[Outcome], save: Save) -> Written:
    """Write everything. Outputs that cannot be written fail their images."""
    try:
        return _write(connections, stage, token, outcomes, save)
    except (OperationalError, _JobDeleted):
        raise
    except Exception as error:
        log.exception("save_broke")
        broken = InternalError(f"Its results could not be saved: {type(error).__name__}.")
        return _write(connections, stage, token, [Failed(outcome.image, broken) for outcome in outcomes], save)


def _write(connections: Connections, stage: Stage, token: UUID, outcomes: list[Outcome], save: Save) -> Written:
    """Outputs, states, counters and failed attempts in one transaction, for the images that are still held."""
    settings = connections.settings
    with connections.database.begin() as connection:
        ids = [outcome.image.id for outcome in outcomes]
        found = delivery.hold(connection, outcomes[0].image.job_id, ids, token)
        if found is None:
            raise _JobDeleted
        job, held = found
        mine = [outcome for outcome in outcomes if outcome.image.id in held]
        fenced = [image_id for image_id in ids if image_id not in held]
        if fenced:
            log.warning("fenced", images=fenced)
        save(connection, [outcome for outcome in mine if isinstance(outcome, Saved)])
        verdicts = _verdicts(stage, mine, settings, paused=job == JobState.PAUSED)
        following = delivery.conclude(connection, token, verdicts, settings.dispatch_lease_seconds)
        delivery.record_attempts(
            connection,
            (
                (outcome.image.id, stage, outcome.image.attempt, outcome.error.code, outcome.error.detail)
                for outcome in mine
                if isinstance(outcome, Failed) and not isinstance(outcome.error, PartUnavailable)
            ),
        )
    told.ends(verdicts)
    counting.concluded(stage, verdicts, len(fenced))
    return following, fenced


def _verdicts(stage: Stage, outcomes: list[Outcome], settings: Settings, *, paused: bool) -> list[Verdict]:
    """What the database is to be told. Images that go on stay together; those of a paused job wait at the next door."""
    ended = [_ended(outcome, stage, settings) for outcome in outcomes if not isinstance(outcome, Done)]
    done = [outcome.image.id for outcome in outcomes if isinstance(outcome, Done)]
    following = stage.following
    if following is None:
        return ended + [Verdict(image_id, stage, ImageState.SUCCEEDED) for image_id in done]
    if paused:
        return ended + [Verdict(image_id, following, ImageState.READY) for image_id in done]
    batch_id = uuid4()
    return ended + [Verdict(image_id, following, ImageState.DISPATCHED, batch_id=batch_id) for image_id in done]


def _ended(outcome: Skipped | Finished | Later | Failed, stage: Stage, settings: Settings) -> Verdict:
    """The verdict on an image that does not go on from here, or not yet."""
    image = outcome.image
    if isinstance(outcome, Finished):
        return Verdict(image.id, Stage.SCORING, ImageState.SUCCEEDED)
    if isinstance(outcome, Later):
        delay = outcome.seconds
        return Verdict(image.id, stage, ImageState.READY, outcome.reason, outcome.detail, delay=delay, counted=False)
    if isinstance(outcome, Skipped):
        return Verdict(image.id, stage, ImageState.SKIPPED, outcome.reason, outcome.detail)
    code, detail = outcome.error.code, outcome.error.detail
    if isinstance(outcome.error, PartUnavailable):
        delay = settings.unavailable_delay_seconds
        return Verdict(image.id, stage, ImageState.READY, code, detail, delay=delay, counted=False)
    if isinstance(outcome.error, TransientError) and image.attempt < settings.max_attempts:
        delay = settings.retry_delay_seconds * 2 ** (image.attempt - 1)
        return Verdict(image.id, stage, ImageState.READY, code, detail, delay=delay)
    return Verdict(image.id, stage, ImageState.FAILED, code, detail)
