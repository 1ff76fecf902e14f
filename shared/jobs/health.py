"""Whether work goes on: asked of Postgres, because who answers a ping may still do nothing.

A trouble is an error of ours that nobody raises: its class says in words what stands still, why that matters, and what
to do. All of them pass by themselves, without loss, when their cause has gone. The functions are for the owner of the
tables.
"""

from sqlalchemy import Connection, Engine, text

from shared.database.session import autocommitting
from shared.errors import BundleUnavailable, CaptionerUnavailable, PartUnavailable, StorageUnavailable
from shared.jobs.states import Stage
from shared.settings import Settings

# Far longer than a message or a tick takes; far shorter than the lease of a message (`dispatch_lease_seconds`).
PATIENCE_SECONDS = 20
# Of so many open jobs it is looked what so many of their images wait for.
JOBS_LOOKED_AT = 100
IMAGES_LOOKED_AT = 100


class DispatcherSilent(PartUnavailable):
    """No dispatcher has finished its rounds lately.

    Jobs are accepted, but nothing new is let in, lost work is not taken back, and no job is closed. Look whether a
    dispatcher runs, and into its log: `facemem up` and compose start one that ended again.
    """

    code = "dispatcher_silent"


class StageUnattended(PartUnavailable):
    """Images wait for a stage, and no worker takes them.

    Jobs stand still before that stage. Look whether a worker of it runs, and into its log: `facemem up` and compose
    start one that ended again, and one that is deaf ends itself.
    """

    code = "stage_unattended"


class Presence:
    """Shows all who see the database that a dispatcher's rounds go on. Nothing is stored: a connection of its own says
    so, by its name and by when it was last used; with its process it is gone.
    """

    NAME = "facemem dispatcher"

    def __init__(self, database: Engine) -> None:
        self._database = database
        self._connection: Connection | None = None

    def renew(self) -> None:
        """Say that all is well just now. Raises SQLAlchemyError; the next call then makes a new connection."""
        if self._connection is None:
            self._connection = autocommitting(self._database)
        try:
            self._connection.execute(text(f"set application_name = '{self.NAME}'"))
        except Exception:
            broken, self._connection = self._connection, None
            broken.invalidate()
            broken.close()
            raise


def troubles(connection: Connection, settings: Settings) -> list[PartUnavailable]:
    """All that stands still, and all parts that images wait for."""
    found: list[PartUnavailable] = []
    silent = dispatcher_silence(connection)
    if silent is None:
        found.append(DispatcherSilent("No dispatcher is connected to the database, or none has finished a round yet."))
    elif silent > settings.silent_dispatcher_seconds:
        found.append(DispatcherSilent(f"No dispatcher has finished its rounds for {silent:.0f} seconds."))
    found += [
        StageUnattended(f"Images wait for {stage}, and no worker takes them.")
        for stage in Stage
        if stage_problem(connection, stage, settings)
    ]
    rows = connection.execute(_HELD_UP, {"jobs": JOBS_LOOKED_AT, "images": IMAGES_LOOKED_AT, "parts": list(_PARTS)})
    found += [_PARTS[row.reason](f"Images wait at {row.stage}: {_PARTS[row.reason].title()}") for row in rows]
    return found


def dispatcher_silence(connection: Connection) -> float | None:
    """Seconds since any dispatcher's rounds were last completed; None if none is connected that has completed any."""
    return connection.scalar(_SILENCE, {"name": Presence.NAME})


def stage_problem(connection: Connection, stage: Stage, settings: Settings) -> str | None:
    """What is wrong with a stage, or None: messages have waited for a while, and no worker is at work on any."""
    left = settings.dispatch_lease_seconds - PATIENCE_SECONDS
    untaken = connection.scalar(_UNTAKEN, {"stage": stage, "left": left})
    return f"{untaken} images wait for {stage} and no worker is at work" if untaken else None


def dispatcher_problem(connection: Connection) -> str | None:
    """What is wrong with the dispatcher, or None: lost images are not taken back, or a job waits and has nothing in."""
    overdue = connection.scalar(_NOT_TAKEN_BACK, {"patience": PATIENCE_SECONDS})
    if overdue:
        return f"{overdue} images are lost and were not taken back"
    waiting = connection.scalar(_NOT_LET_IN, {"patience": PATIENCE_SECONDS})
    return f"{waiting} jobs wait to be let in" if waiting else None


_PARTS: dict[str, type[PartUnavailable]] = {
    part.code: part for part in (StorageUnavailable, CaptionerUnavailable, BundleUnavailable)
}

# What it did last, at whatever time, changed the state of that connection.
_SILENCE = text("""
select extract(epoch from clock_timestamp() - max(state_change))::float from pg_stat_activity
where datname = current_database() and application_name = :name
""")
_UNTAKEN = text("""
    select count(*) from images
    where stage = :stage and state = 'dispatched' and lease_expires_at < now() + make_interval(secs => :left)
    and not exists (select from images where stage = :stage and state = 'running' and lease_expires_at > now())
""")
_NOT_TAKEN_BACK = text("""
    select count(*) from images
    where state in ('dispatched', 'running') and lease_expires_at < now() - make_interval(secs => :patience)
""")
_NOT_LET_IN = text("""
    select count(*) from jobs
    where state = 'running' and created_at < now() - make_interval(secs => :patience)
    and not exists (
        select from job_counts where job_id = jobs.id and state in ('dispatched', 'running') and images > 0)
    and exists (
        select from images where job_id = jobs.id and state = 'ready'
        and (not_before is null or not_before < now() - make_interval(secs => :patience)))
""")
_HELD_UP = text("""
select distinct stage, reason
from (select id from jobs where state = 'running' order by created_at limit :jobs) as looked_at
cross join lateral (
    select stage, reason from images
    where job_id = looked_at.id and state = 'ready' and reason is not null limit :images
) as waiting
where reason = any(:parts) order by stage, reason
""")
