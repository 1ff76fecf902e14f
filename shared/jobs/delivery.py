"""Delivering batches: let in by the dispatcher, claimed, renewed and concluded by a worker.

The caller owns the transaction: it commits, then sends messages. Whoever waits for rows of images takes them in the
order of their ids, so that nobody waits in a circle; who does not wait skips those that are locked.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from sqlalchemy import Connection, text

from shared.jobs import pace
from shared.jobs.moves import move
from shared.jobs.states import FINAL, ImageState, JobState, Priority, Stage


@dataclass(frozen=True)
class Batch:
    """What a message carries: a stage's task on some images of one job.

    alone: whether its worker shall have nothing else in hand, because the last one that had these images died.
    attempt: for which time they will be tried, for the logs of whoever sends it; the message does not say.
    """

    stage: Stage
    id: UUID
    image_ids: tuple[int, ...]
    alone: bool = False
    attempt: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class ClaimedImage:
    """An image that this delivery may work on, and what its job asks for."""

    id: int
    job_id: UUID
    name: str
    source_url: str | None
    original_key: str | None
    attempt: int
    captioner: str
    bundle: str
    priority: Priority


@dataclass(frozen=True)
class Verdict:
    """What became of an image in a run: its next state, at which stage, and why if it did not simply go on.

    batch_id: of the message that will name it, if it goes on.
    delay: seconds before it may be let in again, if it is to be tried again.
    counted: whether the run counts as an attempt.
    """

    image_id: int
    stage: Stage
    state: ImageState
    reason: str | None = None
    detail: str | None = None
    batch_id: UUID | None = None
    delay: float = 0
    counted: bool = True


# --- The door: ready -> dispatched -------------------------------------------------------------------------------


def admit(connection: Connection, job_id: UUID, stage: Stage, limit: int, lease_seconds: float) -> list[Batch]:
    """Let up to `limit` waiting images of a job in, if it is running. Called by the dispatcher.

    Images that failed before travel alone, so that one bad image cannot take its neighbours down with it again.
    """
    # Held until the end of the transaction, so that a job that was paused has nothing let in after that.
    running = text("select from jobs where id = :job and state = 'running' for share")
    if connection.execute(running, {"job": job_id}).one_or_none() is None:
        return []
    waiting = connection.execute(
        text("""
            select id, attempt, attempt > 0 and exists (
                select from attempts
                where image_id = images.id and stage = :stage and reason = 'worker_lost') as suspect
            from images
            where job_id = :job and stage = :stage and state = 'ready' and (not_before is null or not_before <= now())
            order by id limit :limit for update skip locked
        """),
        {"job": job_id, "stage": stage, "limit": limit},
    ).all()
    fresh = [row.id for row in waiting if row.attempt == 0]
    batches = [Batch(stage, uuid4(), tuple(fresh), attempt=1)] if fresh else []
    batches += [Batch(stage, uuid4(), (row.id,), row.suspect, row.attempt + 1) for row in waiting if row.attempt > 0]
    for batch in batches:
        move(
            connection,
            """
            update images set state = 'dispatched', batch_id = :batch, reason = null, detail = null,
                lease_expires_at = now() + make_interval(secs => :lease)
            where id = any(:ids) and state = 'ready'
            """,
            batch=batch.id,
            ids=list(batch.image_ids),
            lease=lease_seconds,
        )
    return batches


# --- A delivery: dispatched -> running -> on ---------------------------------------------------------------------


def claim(connection: Connection, batch: Batch, token: UUID, lease_seconds: float) -> list[ClaimedImage]:
    """Take what is still to be taken of a batch. A stale, late or repeated message gets an empty list."""
    claimed = move(
        connection,
        """
        update images set state = 'running', lease_token = :token, attempt = attempt + 1,
            lease_expires_at = now() + make_interval(secs => :lease)
        where id in (
            select id from images where id = any(:ids) and batch_id = :batch and state = 'dispatched'
            order by id for update)
        and batch_id = :batch and stage = :stage and state = 'dispatched'
        """,
        columns="new.name, new.source_url, new.original_key, new.attempt",
        told="select moved.*, captioner, bundle, priority from moved join jobs on jobs.id = job_id order by moved.id",
        token=token,
        ids=list(batch.image_ids),
        batch=batch.id,
        stage=batch.stage,
        lease=lease_seconds,
    )
    return [
        ClaimedImage(
            row.id,
            row.job_id,
            row.name,
            row.source_url,
            row.original_key,
            row.attempt,
            row.captioner,
            row.bundle,
            Priority(row.priority),
        )
        for row in claimed
    ]


def renew(connection: Connection, image_ids: Sequence[int], token: UUID, lease_seconds: float) -> int:
    """Keep a running batch. Returns how many images are still held: 0 tells the worker that it lost them."""
    return connection.execute(
        text("""
            update images set lease_expires_at = now() + make_interval(secs => :lease)
            where id in (select id from images where id = any(:ids) and lease_token = :token order by id for update)
            and lease_token = :token and state = 'running'
        """),
        {"ids": list(image_ids), "token": token, "lease": lease_seconds},
    ).rowcount


def hold_job(connection: Connection, job_id: UUID) -> JobState | None:
    """Lock the row of a job until the transaction ends. Returns its state; None if it is not there any more.

    Whoever changes images locks their job first, then them, then the counters; so nobody waits in a circle.
    """
    job = connection.execute(text("select state from jobs where id = :job for no key update"), {"job": job_id})
    state = job.scalar_one_or_none()
    return None if state is None else JobState(state)


def hold(
    connection: Connection, job_id: UUID, image_ids: Sequence[int], token: UUID
) -> tuple[JobState, set[int]] | None:
    """`hold_job`, and of its images those that `token` still holds, locked as well: only their outputs may be written.

    None if the job is not there any more.
    """
    # The images are looked for when the job has been found, so after its lock.
    row = connection.execute(_HELD, {"job": job_id, "ids": list(image_ids), "token": token}).one_or_none()
    return None if row is None else (JobState(row.state), set(row.held))


def conclude(connection: Connection, token: UUID, verdicts: Sequence[Verdict], lease_seconds: float) -> list[Batch]:
    """Move running images of one batch to what became of them. Returns the batches in which they go on."""
    moved = move(
        connection,
        """
        update images set stage = verdict.stage, state = verdict.state,
            reason = verdict.reason, detail = verdict.detail,
            attempt = case when verdict.stage <> images.stage then 0 when verdict.counted then attempt
                else attempt - 1 end,
            not_before = case when verdict.state = 'ready' then now() + make_interval(secs => verdict.delay) end,
            batch_id = verdict.batch_id, lease_token = null,
            lease_expires_at = case when verdict.state = 'dispatched' then now() + make_interval(secs => :lease) end,
            finished_at = case when verdict.state = any(:final) then now() end
        from unnest(cast(:ids as bigint[]), cast(:stages as text[]), cast(:states as text[]), cast(:reasons as text[]),
                cast(:details as text[]), cast(:batches as uuid[]), cast(:delays as double precision[]),
                cast(:counted as boolean[]))
            as verdict (id, stage, state, reason, detail, batch_id, delay, counted)
        where images.id = verdict.id and images.state = 'running' and images.lease_token = :token
        """,
        columns="new.batch_id",
        also=pace.RECORDED,
        slot=pace.SLOT_SECONDS,
        token=token,
        lease=lease_seconds,
        final=[str(state) for state in FINAL],
        ids=[verdict.image_id for verdict in verdicts],
        stages=[str(verdict.stage) for verdict in verdicts],
        states=[str(verdict.state) for verdict in verdicts],
        reasons=[verdict.reason for verdict in verdicts],
        details=[verdict.detail for verdict in verdicts],
        batches=[verdict.batch_id for verdict in verdicts],
        delays=[float(verdict.delay) for verdict in verdicts],
        counted=[verdict.counted for verdict in verdicts],
    )
    going_on: dict[tuple[Stage, UUID], list[int]] = {}
    for row in moved:
        if row.state == ImageState.DISPATCHED:
            going_on.setdefault((Stage(row.stage), row.batch_id), []).append(row.id)
    return [Batch(stage, batch_id, tuple(ids), attempt=1) for (stage, batch_id), ids in going_on.items()]


_HELD = text("""
select state, array(
    select id from images where id = any(:ids) and lease_token = :token and state = 'running' order by id for update
) as held
from (select state from jobs where id = :job for no key update) as job
""")


def record_attempts(connection: Connection, failures: Iterable[tuple[int, Stage, int, str, str | None]]) -> None:
    """Keep failed attempts: (image id, stage, attempt, reason, detail)."""
    rows = [
        {"image": image, "stage": stage, "attempt": attempt, "reason": reason, "detail": detail}
        for image, stage, attempt, reason, detail in failures
    ]
    if rows:
        connection.execute(
            text("""
                insert into attempts (image_id, stage, attempt, reason, detail)
                values (:image, :stage, :attempt, :reason, :detail)
            """),
            rows,
        )
