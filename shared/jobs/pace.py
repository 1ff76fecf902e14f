"""How fast images pass the stages: what rates and estimates are made of.

Counted in slots of some seconds, in the transaction that moves the images on, so it tells of work that is done, not of
work that was begun. Slots that are older than anybody looks back are removed by the dispatcher.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from shared.jobs.states import Stage

SLOT_SECONDS = 10
# Part of the statement that moves images (`moves.move`), with their job locked: counts those that left their stage, and
# of them those that came to their end.
RECORDED = """, recorded as (
    insert into paces (job_id, stage, slot, passed, ended)
    select job_id, from_stage, date_bin(make_interval(secs => :slot), now(), timestamptz 'epoch'),
        count(*), count(*) filter (where state = any(:final))
    from moved where stage <> from_stage or state = any(:final) group by job_id, from_stage
    on conflict (job_id, stage, slot) do update
    set passed = paces.passed + excluded.passed, ended = paces.ended + excluded.ended
)"""
# What a job did lately is what it did since then.
LATELY_SECONDS = 300
# What the service can do is the most that it did in any slot since then.
MEMORY_SECONDS = 3600


@dataclass(frozen=True)
class Pace:
    """Images a second.

    passed: by stage, of those that came past it, or ended at it or before it. ended: of those that came to their end.
    """

    passed: dict[Stage, float]
    ended: float


def of_jobs(session: Session, job_ids: Sequence[UUID]) -> dict[UUID, Pace]:
    """The pace of jobs lately; those that did nothing lately are not in it."""
    rows = session.execute(_OF_JOBS, {"jobs": list(job_ids), "lately": LATELY_SECONDS, **_SLOT})
    counted: dict[UUID, dict[Stage, tuple[float, float]]] = {}
    for row in rows:
        counted.setdefault(row.job_id, {})[Stage(row.stage)] = (row.passed / row.seconds, row.ended / row.seconds)
    return {job_id: _pace(by_stage) for job_id, by_stage in counted.items()}


def of_service(connection: Connection) -> dict[Stage, float]:
    """The most images a second that all jobs together brought past each stage lately. For the owner of the tables."""
    rows = connection.execute(_OF_SERVICE, {"memory": MEMORY_SECONDS})
    best: dict[Stage, float] = {}
    slots: dict[object, dict[Stage, tuple[float, float]]] = {}
    for row in rows:
        slots.setdefault(row.slot, {})[Stage(row.stage)] = (row.passed / SLOT_SECONDS, row.ended / SLOT_SECONDS)
    for by_stage in slots.values():
        for stage, rate in _pace(by_stage).passed.items():
            best[stage] = max(best.get(stage, 0.0), rate)
    return best


def forget(connection: Connection, most: int) -> int:
    """Remove some slots that nobody looks at any more. Returns how many."""
    return connection.execute(_FORGET, {"memory": MEMORY_SECONDS, "most": most}).rowcount


def _pace(by_stage: dict[Stage, tuple[float, float]]) -> Pace:
    """What ended at a stage is past all later ones too: nothing of it will ever come to them."""
    passed: dict[Stage, float] = {}
    ended_before = 0.0
    for stage in Stage:
        moved, ended = by_stage.get(stage, (0.0, 0.0))
        if moved:
            passed[stage] = moved + ended_before
        ended_before += ended
    return Pace(passed, ended_before)


_SLOT = {"slot": SLOT_SECONDS}

# Since a job did its first work of that time: one that was paused, or waited for its turn, was not slow.
_OF_JOBS = text("""
with lately as (
    select job_id, stage, slot, passed, ended from paces
    where job_id = any(:jobs) and slot > now() - make_interval(secs => :lately)
), since as (
    select job_id, greatest(extract(epoch from now() - greatest(min(slot), min(jobs.created_at))), 1) as seconds
    from lately join jobs on jobs.id = job_id group by job_id
)
select job_id, stage, sum(passed)::float as passed, sum(ended)::float as ended, min(seconds)::float as seconds
from lately join since using (job_id) group by job_id, stage
""")

_OF_SERVICE = text("""
select slot, stage, sum(passed)::float as passed, sum(ended)::float as ended
from paces where slot > now() - make_interval(secs => :memory) group by slot, stage
""")

_FORGET = text("""
delete from paces where (job_id, stage, slot) in (
    select job_id, stage, slot from paces where slot < now() - make_interval(secs => :memory) limit :most)
""")
