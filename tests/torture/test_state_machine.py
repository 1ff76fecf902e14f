"""The state machine as a whole: random interleavings of all that moves an image, on real Postgres and Redis.

Each example is a list of steps. What may change in a step, and what must be true after it, is in `rules`; what must be
true at the end, in `ending`. A failure prints the shortest list that still fails; with the seed that pytest's header
names, as FACEMEM_SEED, the same examples run again.
"""

import os
from collections.abc import Iterator

import hypothesis
import psycopg
import pytest
import structlog
from hypothesis import HealthCheck, Phase, given
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from shared.database.tables import Webhook
from shared.errors import IllegalMove
from shared.jobs.event_types import EventType
from shared.pipeline import run_stage, stages
from shared.pipeline.connections import Connections
from shared.settings import Settings
from tests.torture.ending import drain
from tests.torture.mailbox import Mailbox
from tests.torture.planted_faults import FAULTS, Fault, planted
from tests.torture.repetitions import SEED, times
from tests.torture.rules import MAX_ATTEMPTS
from tests.torture.world import TENANTS, World

EXAMPLES = 5000
# Of them, so many find any planted fault; with this seed, so that they find it every time.
ENOUGH, FOUND_WITH = 300, 1
# What the code and the schema notice themselves.
OWN_CHECKS = (IllegalMove, IntegrityError)
LONG = 3600.0  # seconds: time passes when the test says so
Step = tuple[str, int, int]
# More than once what is to come more often.
STEPS = (
    *("submit", "tick", "second_dispatcher", "sweep", "silence", "deliver", "deliver", "deliver", "deliver"),
    *("work", "work", "work", "work", "work", "save_slowly", "renew", "time_passes", "operate", "operate"),
    *("operate", "race", "begin", "settle"),
)
NUMBER = st.integers(0, 14)
STEP = st.tuples(st.sampled_from(STEPS), NUMBER, NUMBER)
JOURNEY = st.tuples(st.booleans(), NUMBER, st.lists(STEP, min_size=10, max_size=36))

# Meetings that chance brings about rarely. They are tried before anything else.
KNOWN: tuple[tuple[bool, int, list[Step]], ...] = (
    # A pause meets a dispatcher that lets something in; one that knows the job only from before; a worker that saves.
    (False, 0, [("silence", 1, 0), ("race", 9, 0)]),
    (False, 0, [("silence", 1, 0), ("operate", 0, 0), ("operate", 9, 0)]),
    (False, 0, [("deliver", 0, 1), ("save_slowly", 0, 0), ("operate", 0, 0), ("work", 0, 0)]),
    # A worker that was taken for dead renews its lease when another one has its image; the other one is lost as well.
    (False, 0, [("deliver", 0, 1), ("silence", 1, 0), ("tick", 0, 0), ("deliver", 0, 1), ("renew", 0, 0)]),
    (False, 0, [("deliver", 0, 1), ("silence", 1, 0), ("tick", 0, 0), ("deliver", 0, 1), ("silence", 1, 0)]),
    # A deadline passes in mid-run, what failed is tried again, and then its job is deleted.
    (False, 4, [("deliver", 0, 1), ("time_passes", 3, 0), ("sweep", 1, 0), ("operate", 4, 0), ("operate", 7, 1)]),
    # The sweeper takes messages back, and then meets the job of a lost worker locked.
    (
        *(False, 1),
        [("submit", 0, 0), ("silence", 0, 0), ("deliver", 0, 0), ("tick", 0, 0), ("begin", 0, 0), ("silence", 1, 0)],
    ),
    # Outputs that cannot be written, and a worker that is stopped and told so again when it writes that.
    (True, 0, [("deliver", 0, 1), ("save_slowly", 0, 0), ("save_slowly", 0, 6), ("work", 0, 6)]),
)


class Machine:
    """Runs examples, one after the other, in one database."""

    def __init__(self, connections: Connections, patch: pytest.MonkeyPatch) -> None:
        self._connections = connections
        self._patch = patch
        url = connections.settings.database_url.get_secret_value().replace("+psycopg", "")
        self._examples = 0
        self._eyes = psycopg.connect(url, autocommit=True)
        self._mailbox = Mailbox(connections.settings.broker_url.get_secret_value())

    @property
    def database(self) -> Engine:
        """What all of facemem's statements go through."""
        return self._connections.database

    def run(self, in_portions: bool, first_job: int, steps: list[Step]) -> None:
        """One example. `in_portions`: workers save each image when it is done, not the batch."""
        self._mailbox.empty()
        self._eyes.execute(CLEAR if self._examples % EMPTIED else EMPTY)
        self._examples += 1
        self._patch.setattr(run_stage, "SAVE_SECONDS", 0 if in_portions else LONG)
        world = World(self._connections, self._eyes, self._mailbox)
        try:
            world.submit(first_job, first_job)
            world.tick(0, 0)
            for name, first, second in steps:
                world.step(name, first, second)
            drain(world)
        finally:
            world.close()

    def close(self) -> None:
        """End the connections."""
        self._eyes.close()
        self._mailbox.close()


# Rows that were deleted slow later examples down, and a vacuum would lock tables while an example runs.
EMPTIED = 50
EMPTY = "truncate jobs, deletions, deliveries, idempotency cascade"
NO_VACUUM = """
do $$ declare name text; begin
    for name in select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace loop
        execute format('alter table %I set (autovacuum_enabled = false)', name);
    end loop;
end $$
"""
CLEAR = "delete from jobs; delete from deletions; delete from deliveries; delete from idempotency"


@pytest.fixture
def machine(
    database_url: str, broker_url: str, storage_folder_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Machine]:
    """A machine whose clocks stand still. Who meets a locked row gives up at once: nobody would unlock it meanwhile."""
    settings = Settings(
        database_url=f"{database_url}&options=-clock_timeout%3D2ms%20-csynchronous_commit%3Doff",
        broker_url=broker_url,
        storage_url=storage_folder_url,
        max_attempts=MAX_ATTEMPTS,
        window_images=4,
        dispatch_lease_seconds=LONG,
        run_lease_seconds=LONG,
        retry_delay_seconds=LONG,
        unavailable_delay_seconds=LONG,
    ).model_copy(update={"lost_message_seconds": 0})
    monkeypatch.setattr(stages, "SPREAD", 1)  # so that images of small jobs travel together, too
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    connections = Connections.of(settings)
    with connections.database.begin() as connection:
        connection.execute(text(NO_VACUUM))
        for tenant in TENANTS:
            connection.execute(
                Webhook.__table__.insert().values(
                    id=os.urandom(16).hex(), tenant=tenant, url="https://example.org", secret="", events=[*EventType]
                )
            )
    made = Machine(connections, monkeypatch)
    yield made
    made.close()
    connections.database.dispose()
    connections.celery.close()
    structlog.configure(**before)


def explore(machine: Machine, seed: int, examples: int, *, shrink: bool = True) -> None:
    """Run so many random examples. Raises what the first one that fails raises, with its steps."""

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        phases=[Phase.explicit, Phase.generate, *([Phase.shrink] if shrink else [])],
    )
    @given(JOURNEY)
    def journey(example: tuple[bool, int, list[Step]]) -> None:
        machine.run(*example)

    for known in reversed(KNOWN):
        journey = hypothesis.example(known)(journey)
    journey()


@pytest.mark.timeout(3600)
def test_every_interleaving_keeps_what_is_promised(machine: Machine) -> None:
    explore(machine, SEED, times(EXAMPLES))


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_a_planted_fault_is_found(machine: Machine, fault: Fault) -> None:
    """Each guard is needed, and the model notices when it is not there."""
    with planted(machine.database, fault), pytest.raises((AssertionError, *OWN_CHECKS)):
        explore(machine, FOUND_WITH, ENOUGH, shrink=False)
