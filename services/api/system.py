"""Where work piles up and who does it: for whoever looks after the service."""

from typing import Any

from flask_openapi3 import APIBlueprint, Tag
from sqlalchemy import Connection, text

from services.api.caller import OPEN, caller
from services.api.parts import parts
from services.api.schemas.service import Processes, StageLoad, System
from shared.jobs.states import Stage

api = APIBlueprint(
    "system", __name__, url_prefix="/v1", abp_tags=[Tag(name="service", description="The service itself.")]
)


@api.get("/system", summary="See where work piles up, and who does it", responses={200: System})
def show() -> dict[str, Any]:
    """Images of open jobs at each stage: those of the caller's tenant, or where no key is asked for, all. Counted in
    the database, since what the broker holds is only what was let in. And the processes that are connected to it.
    """
    ours = parts()
    everybody = caller() is OPEN
    with ours.database.connect() as connection:
        processes = [Processes.model_validate(row, from_attributes=True) for row in connection.execute(_PROCESSES)]
        if everybody:
            stages = _stages(connection)
    if not everybody:
        with ours.session() as session:
            stages = _stages(session.connection())
    flower = ours.settings.flower_url
    found = System(flower=str(flower) if flower else None, everybody=everybody, stages=stages, processes=processes)
    return found.model_dump(mode="json")


def _stages(connection: Connection) -> list[StageLoad]:
    found = {row.stage: row for row in connection.execute(_WAITING)}
    return [
        StageLoad(
            stage=stage,
            ready=row.ready if (row := found.get(stage)) else 0,
            dispatched=row.dispatched if row else 0,
            running=row.running if row else 0,
            oldest_seconds=round(row.oldest, 1) if row else None,
        )
        for stage in Stage
    ]


# From the counters: as cheap for a million images as for ten.
_WAITING = text("""
select stage,
    coalesce(sum(images) filter (where job_counts.state = 'ready'), 0)::bigint as ready,
    coalesce(sum(images) filter (where job_counts.state = 'dispatched'), 0)::bigint as dispatched,
    coalesce(sum(images) filter (where job_counts.state = 'running'), 0)::bigint as running,
    extract(epoch from now() - min(jobs.created_at))::float as oldest
from jobs join job_counts on job_counts.job_id = jobs.id
where jobs.state in ('running', 'paused') and job_counts.state in ('ready', 'dispatched', 'running') and images > 0
group by stage
""")

# As each names its connections; a pool has several of one name.
_PROCESSES = text(r"""
select found[2] as work, found[1] as version, count(distinct (application_name, client_addr)) as number
from pg_stat_activity, regexp_match(application_name, '^facemem ([0-9]\S*) ([a-z]+)') as found
where datname = current_database() and found is not null
group by work, version order by work, version
""")
