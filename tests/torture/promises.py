"""What facemem promises of work that it accepted, looked up in what it left: database, storage and queues.

Asked when everything has come to its end. Each broken promise is told in words, with what breaks it.
"""

from collections.abc import Collection, Mapping
from uuid import UUID

import redis
from sqlalchemy import Connection, text

from shared.jobs.states import FINAL, OPEN
from shared.pipeline.stages import QUEUES

SHOWN = 5  # of what breaks a promise

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
    "nothing is tried more often than allowed": """
        select id from images where attempt > :most
        union all
        select image_id from attempts where attempt > :most
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
    accepted: Mapping[UUID, int],
    stored: Collection[str],
    broker: redis.Redis,
    max_attempts: int,
) -> list[str]:
    """The promises that do not hold, in words; nothing if all do.

    accepted: how many images were accepted for each job that was not deleted since. stored: the keys of all objects.
    """
    values = {"final": [*map(str, FINAL)], "open": [*map(str, OPEN)], "most": max_attempts}
    found = []
    for promise, query in PROMISES.items():
        breaks = connection.execute(text(query), values).scalars().all()
        found += told(promise, breaks)
    counted = connection.execute(text("select job_id, count(*) as images from images group by job_id"))
    rows = {row.job_id: row.images for row in counted}
    differ = [job for job in accepted.keys() | rows.keys() if accepted.get(job) != rows.get(job)]
    found += told("what was accepted is there, and nothing else", differ)
    referenced = set(connection.execute(text(REFERENCED)).scalars())
    found += told("each object that a row names is stored", referenced - set(stored))
    found += told("each object that is stored is named by a row", set(stored) - referenced)
    return found + told("no message is left", [name for name in QUEUES if broker.llen(name)])


def told(promise: str, breaks: Collection[object]) -> list[str]:
    if not breaks:
        return []
    shown = ", ".join(sorted(map(str, breaks))[:SHOWN])
    return [f"{promise}: not so for {len(breaks)} ({shown}{', ...' if len(breaks) > SHOWN else ''})"]
