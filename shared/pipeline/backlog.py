"""What waits, and whether work goes on, for Prometheus: from the database, at each scrape, because the broker can lie.

It costs as much for ten images as for a million: images are counted by the counters of running jobs; of images
themselves only those are looked at that have a lease, which are as many as windows and workers let in.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from math import inf
from threading import Lock
from time import monotonic

import structlog
from prometheus_client import Metric
from prometheus_client.registry import Collector
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import Connection, text

from shared import metrics
from shared.database.session import connect
from shared.errors import BundleUnavailable, CaptionerUnavailable, StorageUnavailable
from shared.jobs.health import DispatcherSilent, StageUnattended, dispatcher_silence, troubles
from shared.jobs.states import Stage
from shared.pipeline.broker import try_writing
from shared.settings import Settings

log = structlog.get_logger()

# Prometheus gives a scrape ten seconds. To find out that the database is away, and for all that is asked of it:
CONNECT_SECONDS = 3
READ_SECONDS = 4
# And that Redis is.
BROKER_SECONDS = 1

TROUBLES = (DispatcherSilent, StageUnattended, StorageUnavailable, CaptionerUnavailable, BundleUnavailable)


class Backlog(Collector):
    """Reads all of it when it is asked to. It has a connection of its own, so it takes none from who serves people."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        url = settings.database_url.get_secret_value()
        self._database = connect(url, connect_seconds=CONNECT_SECONDS, gone_seconds=CONNECT_SECONDS)
        self._broker = Redis.from_url(
            settings.broker_url.get_secret_value(), socket_timeout=BROKER_SECONDS, socket_connect_timeout=BROKER_SECONDS
        )
        self._reading = Lock()

    def describe(self) -> Iterable[Metric]:
        """Nothing: asking would need the database. Its names are its own, they begin with `facemem_`."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All readings; without an answer only that there is none. It raises nothing: other metrics are to be told."""
        found: list[Metric] = []
        began = monotonic()
        with self._reading:
            try:
                with self._database.begin() as connection:
                    connection.execute(text(f"set local transaction_timeout = '{READ_SECONDS}s'"))
                    # There is an index for all that is asked. After a large submission the planner, which has not heard
                    # of it yet, would read every image instead.
                    connection.execute(text("set local enable_seqscan = off"))
                    found = list(_readings(connection, self._settings))
            except Exception as error:  # whatever it is, it is the answer
                log.warning("backlog_not_read", error=str(error))
        yield metrics.DATABASE_UP.family([((), float(bool(found)))])
        yield metrics.DATABASE_SECONDS.family([((), monotonic() - began)])
        yield metrics.BROKER_UP.family([((), float(self._broker_works()))])
        yield from found

    def _broker_works(self) -> bool:
        try:
            try_writing(self._broker)
        except (RedisError, OSError) as error:
            log.warning("broker_unavailable", error=str(error))
            return False
        return True

    def close(self) -> None:
        """Give the connections back."""
        self._database.dispose()
        self._broker.close()


def _readings(connection: Connection, settings: Settings) -> Iterator[Metric]:
    rows = connection.execute(_QUEUES).all()
    yield metrics.QUEUE_IMAGES.family(((row.stage, row.state, row.tenant), row.images) for row in rows)
    oldest: dict[tuple[str, ...], float] = defaultdict(float)
    for row in rows:
        place = (row.stage, row.tenant)
        oldest[place] = max(oldest[place], row.age or 0)
    yield metrics.QUEUE_OLDEST_SECONDS.family(oldest.items())

    waits = dict.fromkeys(oldest, 0.0)
    for row in connection.execute(_WAITS, {"lease": settings.dispatch_lease_seconds}):
        waits[row.stage, row.tenant] = max(0.0, row.seconds)
    yield metrics.QUEUE_WAIT_SECONDS.family(waits.items())

    jobs = connection.execute(_OPEN_JOBS)
    yield metrics.OPEN_JOBS.family(((row.tenant,), row.jobs) for row in jobs)
    expired = {row.stage: row.images for row in connection.execute(_EXPIRED)}
    yield metrics.EXPIRED_LEASES.family(((stage,), expired.get(stage, 0)) for stage in Stage)

    silence = dispatcher_silence(connection)
    yield metrics.DISPATCHER_SILENCE_SECONDS.family([((), inf if silence is None else silence)])
    there = {trouble.code for trouble in troubles(connection, settings)}
    yield metrics.TROUBLE.family(((code,), float(code in there)) for code in sorted(each.code for each in TROUBLES))

    due = connection.execute(_WEBHOOKS).one()
    yield metrics.WEBHOOK_EVENTS_DUE.family([((), due.events)])
    yield metrics.WEBHOOK_LAG_SECONDS.family([((), due.seconds)])


# All images of a job are as old as it: they were accepted in one transaction.
_QUEUES = text("""
select jobs.tenant, stage, job_counts.state, sum(images)::float as images,
    extract(epoch from now() - min(created_at) filter (where images > 0))::float as age
from jobs join job_counts on job_id = jobs.id
where jobs.state = 'running' and job_counts.state in ('ready', 'dispatched', 'running')
group by jobs.tenant, stage, job_counts.state
""")
# When a message was sent, its lease tells.
_WAITS = text("""
select tenant, images.stage, :lease + extract(epoch from now() - min(lease_expires_at))::float as seconds
from images join jobs on jobs.id = job_id
where lease_expires_at is not null and images.state = 'dispatched' and jobs.state = 'running'
group by tenant, images.stage
""")
_OPEN_JOBS = text("select tenant, count(*) as jobs from jobs where state = 'running' group by tenant")
_EXPIRED = text("select stage, count(*) as images from images where lease_expires_at < now() group by stage")
_WEBHOOKS = text("""
select count(*) as events, coalesce(extract(epoch from now() - min(next_attempt_at)), 0)::float as seconds
from deliveries join webhooks on webhooks.id = webhook_id
where next_attempt_at <= now() and disabled_at is null
""")
