"""What webhooks are told: an event becomes one delivery for each of the tenant's webhooks that wants it.

Deliveries are written in the transaction that makes the event true, so there is none of a change that never was, and
none is forgotten. Sending them is the dispatcher's.
"""

from uuid import UUID

from sqlalchemy import Connection, text

from shared.jobs.event_types import TEST, EventType

__all__ = ["EventType", "emit", "emit_test"]


# Times of payloads, as RFC 3339 has them.
_NOW = """to_char(now() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


def emit(connection: Connection, tenant: str, type: EventType | str, job_id: UUID) -> int:  # noqa: A002
    """Tell the tenant's webhooks about a job, as it stands now. Returns how many will be told.

    The payload is thin: ids and counts, never names, links or captions. `job.deleted` is to be emitted while the job's
    rows are still there.
    """
    return connection.execute(text(_EMIT), {"tenant": tenant, "type": EventType(type), "job": job_id}).rowcount


def emit_test(connection: Connection, webhook_id: UUID, delivery_id: UUID) -> None:
    """Send one webhook an event about nothing."""
    connection.execute(text(_EMIT_TEST), {"webhook": webhook_id, "delivery": delivery_id, "type": TEST})


_EMIT = f"""
insert into deliveries (id, webhook_id, job_id, type, payload)
select gen_random_uuid(), webhooks.id, :job, :type, jsonb_build_object(
    'type', cast(:type as text), 'timestamp', {_NOW},
    'data', jsonb_build_object('job', cast(:job as uuid), 'state', job.state, 'images', job.images,
        'counts', job.counts))
from webhooks cross join (
    select max(jobs.state) as state, coalesce(sum(by_state.images), 0) as images,
        coalesce(jsonb_object_agg(by_state.state, by_state.images) filter (where by_state.images > 0), '{{}}') as counts
    from jobs left join (
        select state, sum(images) as images from job_counts where job_id = :job group by state
    ) as by_state on true
    where jobs.id = :job
) as job
where webhooks.tenant = :tenant and webhooks.disabled_at is null and :type = any(webhooks.events)
"""  # noqa: S608  # _NOW is a constant of this module

_EMIT_TEST = f"""
insert into deliveries (id, webhook_id, type, payload)
values (:delivery, :webhook, :type, jsonb_build_object(
    'type', cast(:type as text), 'timestamp', {_NOW}, 'data', jsonb_build_object('webhook', cast(:webhook as uuid))))
"""  # noqa: S608
