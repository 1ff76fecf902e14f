"""The database of a facemem: its tables, its room for connections, its clock, and what it says about the work."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import Connection, create_engine, text

from services.cli.doctor.check import Degraded, Missing
from shared.database import schema
from shared.database.session import POOL_OVERFLOW, POOL_SIZE
from shared.jobs.health import troubles
from shared.settings import Settings

CONNECT_SECONDS = 5
ONE_PROCESS = POOL_SIZE + POOL_OVERFLOW  # connections that one more process may take
CLOCK_SECONDS = 2.0
OLD_BACKUP_DAYS = 7
OLD_SECONDS = 900.0  # what waits for a worker for so long waits for too few of them


def tables(url: str) -> str:
    """They are those of this version."""
    with _connected(url) as connection:
        there = schema.found(connection)
    if there == schema.REVISION:
        return f"the tables are of revision {there}, as this version wants them"
    if there is None:
        raise Degraded(
            "there are no tables of facemem", "Make them: python -m migrations. `facemem up` does it itself."
        )
    if schema.is_newer(there):
        return f"the tables are of revision {there}, of a newer facemem; this version works on them, too"
    raise Degraded(
        f"the tables are of revision {there}, and this version wants {schema.REVISION}",
        "Bring them up to date: python -m migrations. `facemem up` does it itself.",
    )


def room(url: str) -> str:
    """One more process would find connections."""
    with _connected(url) as connection:
        most = int(connection.scalar(text("show max_connections")) or 0)
        kept = int(connection.scalar(text("show superuser_reserved_connections")) or 0)
        used = connection.scalar(text("select count(*) from pg_stat_activity where backend_type = 'client backend'"))
    free = most - kept - int(used or 0)
    if free < ONE_PROCESS:
        raise Missing(f"{used} of {most} connections are taken, and one process may need {ONE_PROCESS}")
    return f"{free} of {most} connections are free"


def clock(url: str) -> str:
    """It and this machine agree what time it is."""
    with _connected(url) as connection:
        before = datetime.now(UTC)
        there = connection.scalar(text("select clock_timestamp()"))
        after = datetime.now(UTC)
    assert there is not None  # it always knows the time
    here = before + (after - before) / 2
    apart = abs((there - here).total_seconds())
    if apart > CLOCK_SECONDS:
        raise Missing(f"the clocks of the database and of this machine are {apart:.0f} s apart")
    return f"the database's clock is this machine's to {max(apart, 0.1):.1f} s"


def versions(url: str) -> str:
    """All processes that are connected are of one version."""
    with _connected(url) as connection:
        found = sorted(connection.scalars(_VERSIONS))
    if len(found) > 1:
        raise Missing(f"processes of {' and '.join(found)} are connected to one database")
    return f"all that are connected are {found[0]}" if found else "no process is connected"


def queues(url: str, configured: Settings) -> str:
    """No message has waited for long."""
    with _connected(url) as connection:
        rows = connection.execute(_WAITING, {"lease": configured.dispatch_lease_seconds}).all()
    old = [f"{row.images} images wait for {row.stage}, the first for {row.age / 60:.0f} min" for row in rows
           if row.age > OLD_SECONDS]  # fmt: skip
    if old:
        raise Missing("; ".join(old))
    if not rows:
        return "nothing waits for a worker"
    return ", ".join(f"{row.images} images wait for {row.stage} (at most {max(row.age, 0):.0f} s)" for row in rows)


def webhooks(url: str) -> str:
    """They take what they are sent."""
    with _connected(url) as connection:
        off, lost, late = connection.execute(_WEBHOOKS).one()
    wrong = [
        f"{number} {said}"
        for number, said in (
            (off, "webhooks were turned off because they failed"),
            (lost, "events of the last day were given up"),
            (late, "events wait for another try"),
        )
        if number
    ]
    if wrong:
        raise Missing("; ".join(wrong))
    return "every event of the last day was taken"


def backup(url: str) -> str:
    """One was made not long ago."""
    with _connected(url) as connection:
        made = connection.scalar(_BACKUP)
    if made is None:
        raise Missing("none was ever made of this database")
    days = (datetime.now(UTC) - made).days
    if days > OLD_BACKUP_DAYS:
        raise Missing(f"the last one was made {days} days ago")
    return f"the last one was made at {made:%Y-%m-%d %H:%M} UTC"


def work(url: str, configured: Settings) -> str:
    """It goes on: dispatcher, stages, and what images wait for."""
    with _connected(url) as connection:
        found = troubles(connection, configured)
    if found:
        advice = dict.fromkeys(error.advice() for error in found)
        raise Degraded("\n".join(error.detail for error in found), "\n".join(advice))
    return "the dispatcher's rounds go on, and no stage stands still"


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    engine = create_engine(url, connect_args={"connect_timeout": CONNECT_SECONDS})
    try:
        with engine.connect() as connection:
            connection.execute(text(f"set statement_timeout = '{CONNECT_SECONDS}s'"))
            yield connection
    finally:
        engine.dispose()


_VERSIONS = text(r"""
select distinct substring(application_name from '^facemem [0-9]\S*') from pg_stat_activity
where application_name ~ '^facemem [0-9]' and datname = current_database()
""")
# A message's lease begins when it is sent.
_WAITING = text("""
select stage, count(*) as images,
    extract(epoch from now() - min(lease_expires_at) + make_interval(secs => :lease))::float as age
from images where state = 'dispatched' group by stage order by stage
""")
_BACKUP = text("select max(at) from audit where action = 'backup.created'")
_WEBHOOKS = text("""
select
    (select count(*) from webhooks where disabled_at is not null),
    (select count(*) from deliveries where created_at > now() - interval '1 day'
        and delivered_at is null and next_attempt_at is null),
    (select count(*) from deliveries where next_attempt_at is not null
        and exists (select from delivery_attempts where delivery_id = deliveries.id))
""")
