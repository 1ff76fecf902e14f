"""The frame around every stage's work: claim, work, save, move on.

A stage brings two functions. `work` computes: images in, one outcome for each out; it may read the database and object
storage, and write objects whose keys carry the token. `save` writes the outputs' rows. Outputs, states and counters are
one transaction, in which only images still held by this delivery's token are touched; messages go out after COMMIT.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from shared.errors import FacememError, InternalError, PermanentError, TransientError
from shared.jobs import delivery
from shared.jobs.delivery import Batch, ClaimedImage, Verdict
from shared.jobs.states import ImageState, Stage
from shared.pipeline.connections import Connections
from shared.pipeline.dispatch import send

log = structlog.get_logger()


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
class Failed:
    """The image failed: for good, or for now if the error is a TransientError."""

    image: ClaimedImage
    error: FacememError


Outcome = Done | Skipped | Failed
Work = Callable[[list[ClaimedImage], UUID], Iterable[Outcome]]
Save = Callable[[Connection, list[Done | Skipped]], None]


def run_stage(connections: Connections, batch: Batch, work: Work, save: Save) -> None:
    """Do one delivered batch. A message that has nothing to claim any more is ignored.

    Raises SQLAlchemyError when Postgres is away; then nothing was saved, and the lease brings the images back.
    """
    settings = connections.settings
    token = uuid4()
    with connections.database.begin() as connection:
        images = delivery.claim(connection, batch, token, settings.run_lease_seconds)
    if not images:
        log.info("nothing_to_claim", stage=batch.stage, batch=str(batch.id))
        return
    started = monotonic()
    with structlog.contextvars.bound_contextvars(stage=batch.stage, batch=str(batch.id), job=str(images[0].job_id)):
        with _renewed(connections, token):
            outcomes = _outcomes(work, images, token)
        following = _finish(connections, batch.stage, token, outcomes, save)
        send(connections.celery, following)
        log.info("batch_done", images=len(images), seconds=round(monotonic() - started, 3))


def _outcomes(work: Work, images: list[ClaimedImage], token: UUID) -> list[Outcome]:
    """The work's outcomes. An error of the whole batch is an attempt of each image; tried again, each travels alone."""
    try:
        return list(work(images, token))
    except TransientError as error:
        return [Failed(image, error) for image in images]
    except PermanentError as error:
        if len(images) == 1:
            return [Failed(images[0], error)]
        # One of them is to blame, and the others shall not end with it.
        return [Failed(image, InternalError(f"Its batch could not be done: {error.detail}")) for image in images]
    except Exception as error:
        log.exception("stage_broke")
        return [Failed(image, InternalError(f"It ended in {type(error).__name__}.")) for image in images]


def _finish(connections: Connections, stage: Stage, token: UUID, outcomes: list[Outcome], save: Save) -> list[Batch]:
    """Write everything in one transaction. Returns the batch that goes on, if any."""
    settings = connections.settings
    following = stage.following
    with connections.database.begin() as connection:
        held = delivery.held(connection, token)
        mine = [outcome for outcome in outcomes if outcome.image.id in held]
        if len(mine) < len(outcomes):
            log.warning("fenced", images=len(outcomes) - len(mine))
        save(connection, [outcome for outcome in mine if not isinstance(outcome, Failed)])
        verdicts = [_verdict(outcome, stage, settings.max_attempts, settings.retry_delay_seconds) for outcome in mine]
        batch_id = uuid4()
        ids = delivery.conclude(connection, token, verdicts, batch_id, settings.dispatch_lease_seconds)
        delivery.record_attempts(
            connection,
            (
                (outcome.image.id, stage, outcome.image.attempt, outcome.error.code, outcome.error.detail)
                for outcome in mine
                if isinstance(outcome, Failed)
            ),
        )
    return [Batch(following, batch_id, tuple(ids))] if following and ids else []


def _verdict(outcome: Outcome, stage: Stage, max_attempts: int, delay: float) -> Verdict:
    """What the database is to be told of an outcome."""
    image = outcome.image
    match outcome:
        case Done() if stage.following:
            return Verdict(image.id, stage.following, ImageState.DISPATCHED)
        case Done():
            return Verdict(image.id, stage, ImageState.SUCCEEDED)
        case Skipped():
            return Verdict(image.id, stage, ImageState.SKIPPED, outcome.reason, outcome.detail)
        case Failed() if isinstance(outcome.error, TransientError) and image.attempt < max_attempts:
            return Verdict(image.id, stage, ImageState.READY, delay=delay * 2 ** (image.attempt - 1))
        case Failed():
            return Verdict(image.id, stage, ImageState.FAILED, outcome.error.code, outcome.error.detail)


@contextmanager
def _renewed(connections: Connections, token: UUID) -> Iterator[None]:
    """Renew the lease from a thread while the body runs, for at most `max_run_seconds`: a stuck batch is taken back."""
    settings = connections.settings
    over = threading.Event()
    deadline = monotonic() + settings.max_run_seconds

    def renew() -> None:
        while not over.wait(settings.run_lease_seconds / 3) and monotonic() < deadline:
            try:
                with connections.database.begin() as connection:
                    if not delivery.renew(connection, token, settings.run_lease_seconds):
                        log.warning("lease_lost", token=str(token))
                        return
            except SQLAlchemyError as error:
                log.warning("lease_not_renewed", error=str(error))

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
