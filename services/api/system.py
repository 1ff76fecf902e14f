"""Where work piles up and who does it: for whoever looks after the service."""

from typing import Any

from flask_openapi3 import APIBlueprint, Tag
from sqlalchemy import Connection, text

from services.api.caller import OPEN, caller
from services.api.parts import parts
from services.api.schemas.service import Process, Processes, StageLoad, System
from shared.jobs.states import Stage
from shared.settings import Settings

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
        processes = _processes(connection)
        if everybody:
            stages = _stages(connection, ours.settings)
    if not everybody:
        with ours.session() as session:
            stages = _stages(session.connection(), ours.settings)
    flower = ours.settings.flower_url
    found = System(flower=str(flower) if flower else None, everybody=everybody, stages=stages, processes=processes)
    return found.model_dump(mode="json")


def _processes(connection: Connection) -> list[Processes]:
    kinds: dict[tuple[str, str], list[Process]] = {}
    for row in connection.execute(_PROCESSES):
        seen = Process(name=row.name, seen_seconds=round(max(0.0, row.seen), 1))
        kinds.setdefault((row.work, row.version), []).append(seen)
    return [
        Processes(work=work, version=version, number=len(members), members=members)
        for (work, version), members in kinds.items()
    ]


def _stages(connection: Connection, settings: Settings) -> list[StageLoad]:
    found = {row.stage: row for row in connection.execute(_WAITING)}
    # There is an index for what has a lease. After a large submission the planner, which has not heard of it yet, would
    # read every image instead.
    connection.execute(text("set local enable_seqscan = off"))
    lease = {"lease": settings.dispatch_lease_seconds}
    waited = {row.stage: row.seconds for row in connection.execute(_WAITED, lease)}
    return [
        StageLoad(
            stage=stage,
            ready=row.ready if (row := found.get(stage)) else 0,
            dispatched=row.dispatched if row else 0,
            running=row.running if row else 0,
            waited_seconds=round(max(0.0, waited[stage]), 1) if stage in waited else None,
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

# When a message was sent, its lease tells.
_WAITED = text("""
select images.stage, :lease + extract(epoch from now() - min(lease_expires_at))::float as seconds
from images join jobs on jobs.id = job_id
where lease_expires_at is not null and images.state = 'dispatched' and jobs.state = 'running'
group by images.stage
""")

# As each names its connections; a pool has several of one name. What one did last changed its state.
_PROCESSES = text(r"""
select found[2] as work, found[1] as version, coalesce(found[3], '') as name,
    extract(epoch from clock_timestamp() - max(state_change))::float as seen
from pg_stat_activity, regexp_match(application_name, '^facemem ([0-9]\S*) ([a-z]+)(?: (.+))?') as found
where datname = current_database() and found is not null
group by work, version, name, client_addr order by work, version, name
""")
