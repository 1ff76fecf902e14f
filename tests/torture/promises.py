"""What facemem promises of work that it accepted, looked up in what it left: database, storage and queues.

Asked when everything has come to its end. Each broken promise is told in words, with what breaks it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from queue import Empty, Queue
from uuid import UUID

import redis
from sqlalchemy import Connection, text

from shared.jobs.states import FINAL, OPEN
from shared.pipeline.stages import QUEUES
from tests.webhook_receiver import Received

SHOWN = 5  # of what breaks a promise


@dataclass(frozen=True)
class Accepted:
    """What the API has accepted.

    images: of each job that was not deleted since, how many. deleted: jobs that were. doomed: images that cannot
    succeed.
    """

    images: Mapping[UUID, int]
    deleted: Collection[UUID] = ()
    doomed: int = 0


# Each finds what breaks one promise. The words say what was promised.
PROMISES = {
    "every image comes to a final state": "select id from images where state <> all(:final)",
    "what has ended is held by nobody": """
        select id from images where state = any(:final)
        and (lease_token is not null or lease_expires_at is not null or batch_id is not null or finished_at is null)
    """,
    "a job ends with its last image": """
        select id from jobs where (state = any(:open)) <> (finished_at is null)
        or state = any(:open) and not exists (select from images where job_id = jobs.id and state <> all(:final))
    """,
    "counters are what can be counted": """
        select coalesce(counted.job_id, job_counts.job_id) as id
        from (select job_id, stage, state, count(*) as images from images group by 1, 2, 3) as counted
        full join job_counts using (job_id, stage, state)
        where coalesce(counted.images, 0) <> coalesce(job_counts.images, 0)
    """,
    "an image that succeeded has faces, each with one score and the reasons for it": """
        select images.id from images
        left join faces on faces.image_id = images.id left join explanations on face_id = faces.id
        where images.state = 'succeeded'
        and (faces.id is null or score is null or scored_at is null or bundle is null or face_id is null)
    """,
    "an image that was skipped has no face": """
        select images.id from images join faces on faces.image_id = images.id where images.state = 'skipped'
    """,
    "what failed or was skipped says why": """
        select id from images where state in ('failed', 'skipped') and (reason is null or detail is null)
    """,
    "each failure is on record": """
        select id from images where state = 'failed' and attempt > 0 and not exists (
            select from attempts where image_id = images.id and stage = images.stage and attempt = images.attempt)
    """,
    "nothing is tried more often than allowed": """
        select id from images where attempt > :most
        union all
        select image_id from attempts where attempt > :most
    """,
    "each end is an event, once, for each webhook that wants it": """
        select jobs.id from jobs join webhooks on webhooks.tenant = jobs.tenant
        where finished_at is not null and disabled_at is null and 'job.' || jobs.state = any(events) and 1 <> (
            select count(*) from deliveries
            where job_id = jobs.id and webhook_id = webhooks.id and type = 'job.' || jobs.state)
    """,
    "each deletion is an event, once, for each webhook that wants it": """
        select deleted.id from unnest(cast(:deleted as uuid[])) as deleted (id) cross join webhooks
        where disabled_at is null and 'job.deleted' = any(events) and 1 <> (
            select count(*) from deliveries
            where job_id = deleted.id and webhook_id = webhooks.id and type = 'job.deleted')
    """,
    "each event is told": """
        select id from deliveries where delivered_at is null and exists (
            select from webhooks where id = webhook_id and disabled_at is null)
    """,
}
REFERENCED = """
    select original_key as key from images where original_key is not null
    union select photo_key from images where photo_key is not null
    union select crop_key from faces where crop_key is not null
"""


def broken(
    connection: Connection,
    accepted: Accepted,
    stored: Collection[str],
    broker: redis.Redis,
    max_attempts: int,
) -> list[str]:
    """The promises that do not hold, in words; nothing if all do.

    stored: the keys of all objects.
    """
    values = {
        "final": [*map(str, FINAL)],
        "open": [*map(str, OPEN)],
        "most": max_attempts,
        "deleted": [*accepted.deleted],
    }
    found = []
    for promise, query in PROMISES.items():
        breaks: Sequence[object] = connection.execute(text(query), values).scalars().all()
        found += told(promise, breaks)
    counted = connection.execute(text("select job_id, count(*) as images from images group by job_id"))
    rows = {row.job_id: row.images for row in counted}
    differ = [job for job in accepted.images.keys() | rows.keys() if accepted.images.get(job) != rows.get(job)]
    found += told("what was accepted is there, and nothing else", differ)
    referenced: set[str] = set(connection.execute(text(REFERENCED)).scalars())
    found += told("each object that a row names is stored", referenced - set(stored))
    found += told("each object that is stored is named by a row", set(stored) - referenced)
    return found + told("no message is left", [name for name in QUEUES if broker.llen(name)])


def heard(received: "Queue[Received]", secret: str) -> set[str]:
    """The ids of the events that have arrived since this was last asked. Raises if one is not signed as it must be."""
    ids: set[str] = set()
    while True:
        try:
            event = received.get_nowait()
        except Empty:
            return ids
        event.verified(secret)
        ids.add(event.id)


def unheard(connection: Connection, ids: Collection[str]) -> list[str]:
    """Of the events, those that did not arrive: `ids` did."""
    events = set(map(str, connection.execute(text("select id from deliveries")).scalars()))
    return told("each event arrives, signed", events - set(ids))


def unsuccessful(connection: Connection, accepted: Accepted) -> list[str]:
    """Whether another number of images has succeeded, or failed, than can."""
    rows = connection.execute(text("select state, count(*) as images from images group by state"))
    states = {row.state: row.images for row in rows}
    good = sum(accepted.images.values()) - accepted.doomed
    if states.get("succeeded", 0) == good and states.get("failed", 0) == accepted.doomed:
        return []
    return [f"what can succeed does, and nothing else: {good} and {accepted.doomed} expected, is {states}"]


def told(promise: str, breaks: Collection[object]) -> list[str]:
    if not breaks:
        return []
    shown = ", ".join(sorted(map(str, breaks))[:SHOWN])
    return [f"{promise}: not so for {len(breaks)} ({shown}{', ...' if len(breaks) > SHOWN else ''})"]
