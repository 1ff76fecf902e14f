"""Faults to be found: each takes one guard of the state machine out, where the code meets the database.

The model finds all of them (`test_state_machine`), the checker of a running system some (`test_planted`).

A statement that is sent is changed on its way; so nothing of the code has to be copied, and a fault whose guard is not
there any more is noticed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import Engine, event


class Fault(NamedTuple):
    """In statements that contain all of `where`, every `guard` becomes `instead`."""

    name: str
    where: str
    guard: str
    instead: str = ""


CLAIM = "set state = 'running', lease_token"
CONCLUDE = "set stage = verdict.stage"
LOST = "'worker_lost' end"
PAUSE = "job_id = %(job)s and state = 'dispatched' and lease_expires_at is not null"
HOLD = "as held from"
IN_HAND = "select greatest(clock_timestamp()"
ATTEMPT = "insert into attempts (image_id, stage, attempt, reason, detail)"
ATTEMPTED = f"{ATTEMPT} values (%(image)s, %(stage)s, %(attempt)s, %(reason)s, %(detail)s)"
NO_ATTEMPT = (
    "with told as (values (%(image)s, %(stage)s, %(attempt)s, %(reason)s, %(detail)s)) "
    f"{ATTEMPT} select id, stage, 1, stage, stage from images where false"
)

FAULTS = (
    # The door.
    Fault(
        "images of a paused job are let in",
        "from jobs where id = %(job)s and state = 'running'",
        "and state = 'running'",
    ),
    Fault("a pause does not wait for who lets in", "and state = 'running' for share", "for share"),
    Fault(
        "images are let in before their time",
        "for update skip locked",
        "(not_before is null or not_before <= now())",
        "true",
    ),
    Fault(
        "the message's lease is not set", "set state = 'dispatched'", "now() + make_interval(secs => %(lease)s)", "null"
    ),
    # A delivery.
    Fault("a message that comes twice claims twice", CLAIM, "and state = 'dispatched'"),
    Fault("an old message claims", CLAIM, "and batch_id = %(batch)s"),
    Fault("a delivery is not counted as an attempt", CLAIM, "attempt = attempt + 1", "attempt = attempt"),
    Fault("whoever comes back may save", HOLD, "and lease_token = %(token)s and state = 'running'"),
    Fault("a save does not hold its job", HOLD, "where id = %(job)s for no key update", "where id = %(job)s"),
    Fault("a finished image stays in its worker's hand", CONCLUDE, "lease_token = null,"),
    Fault("attempts go on counting at the next stage", CONCLUDE, "when verdict.stage <> images.stage then 0"),
    Fault("waiting for a part costs an attempt", CONCLUDE, "else attempt - 1", "else attempt"),
    Fault("what failed is tried again at once", CONCLUDE, "make_interval(secs => verdict.delay)", "interval '0'"),
    Fault("any worker renews any lease", "set lease_expires_at = now() +", "lease_token = %(token)s", "true"),
    # Counters.
    Fault("counters only grow", "counted as (", "-1 as n from moved", "0 as n from moved where false"),
    Fault("counters are overwritten", "counted as (", "job_counts.images + excluded.images", "excluded.images"),
    Fault("a deleted image stays counted", "with gone as (", "-count(*)", "0"),
    # The sweeper.
    Fault("lost workers cost nothing", LOST, "attempt >= %(max)s", "false"),
    Fault("workers that live are taken for dead", LOST, "and lease_expires_at < now()"),
    Fault("lost images keep their worker", LOST, "lease_token = null,"),
    Fault(
        "messages that wait are taken for lost",
        "where state = 'dispatched' and lease_expires_at < now() for",
        "and lease_expires_at < now()",
    ),
    Fault("failed attempts leave no record", ATTEMPTED, ATTEMPTED, NO_ATTEMPT),
    # Clients.
    Fault("what waits in queues of a paused job is worked on", PAUSE, "state = 'dispatched'", "false"),
    Fault("cancelling leaves workers what they hold", "set state = 'cancelled'", "lease_token = null,"),
    Fault("cancelling overrules what is finished", "set state = 'cancelled'", "and state <> all(%(final)s)"),
    Fault("a retry begins with spent attempts", "set state = 'ready', stage =", "attempt = 0,"),
    Fault("a retry leaves its job closed", "update jobs set state = case", "else 'running'", "else state"),
    Fault("anybody's job can be deleted", "for no key update", "and tenant = %(tenant)s"),
    Fault("a key accepts twice", "select fingerprint, answer from idempotency", "key = %(key)s", "false"),
    Fault("deadlines are not looked at", "where id = %(job)s and deadline <= now()", "and deadline <= now()"),
    Fault("a receipt is final under a worker's hands", IN_HAND, "when images.state = 'running' then clock_timestamp()"),
    Fault(
        "a retry hides a worker that was taken for dead",
        IN_HAND,
        "in ('deadline_passed', 'worker_lost'))",
        "in ('none'))",
    ),
    # The end.
    Fault(
        "jobs end before their images", "from job_counts where job_id = jobs.id and images > 0", "images > 0", "false"
    ),
    Fault(
        "an end is told twice",
        "insert into deliveries",
        "from webhooks cross join",
        "from (select * from webhooks union all select * from webhooks) as webhooks cross join",
    ),
)


def faulty(fault: Fault, statement: str) -> str | None:
    """A statement with the fault; None if it has not got the fault's guard."""
    flat = " ".join(statement.split())
    if fault.where not in flat or fault.guard not in flat:
        return None
    return flat.replace(fault.guard, fault.instead)


@contextmanager
def planted(database: Engine, fault: Fault) -> Iterator[None]:
    """As long as the block lasts, statements on this engine have the fault. At the end: that there was one at all."""
    changed = False

    def change(
        connection: object, cursor: object, statement: str, parameters: Any, context: object, many: bool
    ) -> tuple[str, Any]:
        nonlocal changed
        with_fault = faulty(fault, statement)
        changed |= with_fault is not None
        return with_fault or statement, parameters

    event.listen(database, "before_cursor_execute", change, retval=True)
    try:
        yield
    finally:
        event.remove(database, "before_cursor_execute", change)
    assert changed, f"there is no such guard any more: {fault}"
