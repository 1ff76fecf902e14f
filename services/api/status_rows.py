"""What the status of jobs is made of, read by one query: of one moment, and at the price of one round trip.

The query is a text: to build it anew each time, or to load rows as objects, costs several times what Postgres takes.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.jobs.states import OPEN

# Images that are counted of those that wait for something.
MOST_HELD_UP = 1000


class StatusRow(NamedTuple):
    """A job, and what is known of it beside its own row.

    expires_at: of the job that it scores again, if it does. counts: stage, state and number of images. rescored_as: the
    jobs that score it again. held_up: stage, reason, detail and number of images that wait for something.
    """

    id: UUID
    name: str | None
    client_metadata: dict[str, Any]
    labels: list[str]
    state: str
    priority: str
    captioner: str
    bundle: str
    created_at: datetime
    finished_at: datetime | None
    deadline: datetime | None
    retention_seconds: int | None
    scores_only: bool
    what_if: bool
    rescored_from: UUID | None
    expires_at: datetime | None
    counts: list[tuple[str, str, int]]
    rescored_as: list[UUID]
    held_up: list[tuple[str, str, str | None, int]]


def read(session: Session, tenant: str, job_ids: Sequence[UUID]) -> dict[UUID, StatusRow]:
    """These jobs, by their ids; those that are not there, or not the tenant's, are left out."""
    wanted = {"tenant": tenant, "jobs": list(job_ids), "open": _OPEN, "most": MOST_HELD_UP}
    return {row.id: StatusRow._make(row) for row in session.execute(_ROWS, wanted)}


_OPEN = [state.value for state in OPEN]
# A job's counters. Of a million images that wait only some are looked at.
COUNTS = "select stage, state, images from job_counts where job_id = jobs.id and images > 0"
_ROWS = text(f"""
select jobs.id, jobs.name, jobs.client_metadata, jobs.labels, jobs.state, jobs.priority, jobs.captioner, jobs.bundle,
    jobs.created_at, jobs.finished_at, jobs.deadline, jobs.retention_seconds, jobs.scores_only, jobs.what_if,
    jobs.rescored_from,
    case when source.id is null then jobs.expires_at else source.expires_at end as expires_at,
    (select coalesce(json_agg(json_build_array(stage, state, images)), '[]') from ({COUNTS}) as counts) as counts,
    array(select again.id from jobs as again where again.rescored_from = jobs.id and not again.what_if
        order by again.created_at) as rescored_as,
    (select coalesce(json_agg(json_build_array(stage, reason, detail, images) order by stage, reason), '[]') from (
        select stage, reason, min(detail) as detail, count(*) as images from (
            select stage, reason, detail from images
            where job_id = jobs.id and state = 'ready' and reason is not null and jobs.state = any(:open) limit :most
        ) as waiting group by stage, reason
    ) as held) as held_up
from jobs left join jobs as source on source.id = jobs.rescored_from
where jobs.id = any(:jobs) and jobs.tenant = :tenant
""")  # noqa: S608 - of constants
