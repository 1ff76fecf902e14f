"""The rows of events that are to be sent: claimed for a while, and what became of each try.

A claim is a time in `next_attempt_at` by which the try must have been noted. A crash, or a second dispatcher, can make
an event be sent twice under the same id; it cannot be lost.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from workers.dispatcher.post import Answer

# So long is a claim good for. A host name that nobody resolves can take half a minute beyond the deadline of a try.
LEASE_SECONDS = 120

MINUTE = 60
HOUR = 60 * MINUTE
# Before the second try, the third, ...: three days in all, so that a weekend's outage loses nothing. After the last one
# the webhook is turned off.
DELAYS = (5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR)
# Added by chance to each delay, as a share of it, so that what failed together is not tried again together.
JITTER = 0.1
LONGEST_DELAY = 24 * HOUR
# The answer that means: never again.
GONE = 410
ROWS_AT_ONCE = 1000


@dataclass(frozen=True)
class Claim:
    """An event that may be sent until `lease`, and what for."""

    id: UUID
    webhook_id: UUID
    url: str
    secret: str
    payload: dict[str, Any]
    lease: datetime


def webhooks_due(connection: Connection, busy: set[UUID], most: int) -> list[UUID]:
    """Webhooks with something to send, other than those: each tenant's longest waiting, then each one's second, ..."""
    rows = connection.execute(
        text("""
            select webhooks.id from webhooks join deliveries on deliveries.webhook_id = webhooks.id
            where next_attempt_at <= now() and disabled_at is null and webhooks.id <> all(:busy)
            group by webhooks.id
            order by row_number() over (partition by tenant order by min(next_attempt_at)), min(next_attempt_at)
            limit :most
        """),
        {"busy": list(busy), "most": most},
    )
    return list(rows.scalars())


def claim(connection: Connection, webhook_id: UUID) -> Claim | None:
    """The event of a webhook that waits longest, now to be sent; None if there is none, or the webhook is off."""
    row = connection.execute(
        text("""
            update deliveries set next_attempt_at = now() + make_interval(secs => :lease)
            from webhooks
            where webhooks.id = deliveries.webhook_id and disabled_at is null and deliveries.id = (
                select id from deliveries where webhook_id = :webhook and next_attempt_at <= now()
                order by next_attempt_at, id limit 1 for update skip locked)
            returning deliveries.id, webhook_id, url, secret, payload, next_attempt_at as lease
        """),
        {"webhook": webhook_id, "lease": LEASE_SECONDS},
    ).one_or_none()
    return None if row is None else Claim(**row._mapping)


def note(connection: Connection, claim: Claim, answer: Answer) -> None:
    """Keep what became of a try, and say when the next one is, if there is one.

    Where somebody asked meanwhile for the event to be sent again, it will be.
    """
    values = {"delivery": claim.id, "webhook": claim.webhook_id, "lease": claim.lease}
    # The webhook before its deliveries, as the API does; else two could wait for each other.
    connection.execute(text("select from webhooks where id = :webhook for no key update"), values)
    tries = connection.execute(text(_TRY), {**values, **_facts(answer)}).scalar()
    if tries is None:
        return  # It was deleted meanwhile, with its webhook or for its age.
    if answer.error is None:
        connection.execute(text(_DELIVERED), values)
        return
    last = tries == len(DELAYS) + 1
    ended = answer.status == GONE or tries > len(DELAYS)
    delay = None if ended else min(max(float(DELAYS[tries - 1]), answer.retry_after), float(LONGEST_DELAY))
    connection.execute(text(_FAILED), {**values, "delay": delay, "jitter": JITTER})
    # One that somebody sends again by hand after that is tried once more, and its failure turns nothing off.
    if answer.status == GONE or last:
        connection.execute(text(_DISABLED), values)


def forget(connection: Connection, days: int) -> int:
    """Remove some deliveries that are older than so many days, with their attempts. Returns how many."""
    return connection.execute(
        text("""
            delete from deliveries where id in (
                select id from deliveries where created_at < now() - make_interval(days => :days) limit :rows)
        """),
        {"days": days, "rows": ROWS_AT_ONCE},
    ).rowcount


def _facts(answer: Answer) -> dict[str, Any]:
    return {"status": answer.status, "error": answer.error, "milliseconds": answer.milliseconds}


# Notes a try of a delivery that is still there, and counts its tries, with this one.
_TRY = """
with noted as (
    insert into delivery_attempts (delivery_id, status, error, milliseconds)
    select id, :status, :error, :milliseconds from deliveries where id = :delivery
    returning delivery_id
)
select (select count(*) from delivery_attempts where delivery_id = :delivery) + 1 from noted
"""

_DELIVERED = """
update deliveries set delivered_at = now(), next_attempt_at = nullif(next_attempt_at, :lease) where id = :delivery
"""

_FAILED = """
update deliveries
set next_attempt_at = now() + make_interval(secs => cast(:delay as double precision) * (1 + :jitter * random()))
where id = :delivery and next_attempt_at = :lease
"""

_DISABLED = "update webhooks set disabled_at = now() where id = :webhook and disabled_at is null"
