"""An upgrade while clients submit and poll: the schema becomes a later version's, then every process is restarted, one
after the other. Nobody waits for anything in vain, nothing is lost or doubled, and no image is charged with it.
"""

import signal
import sys
import threading
from collections.abc import Iterator
from random import Random
from time import sleep
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from services.client import Facemem
from services.local.redis import free_port
from services.local.supervisor import Process
from services.local.system import answers
from tests.relay import Relay
from tests.torture.conftest import machine_folder, tortured
from tests.torture.machine import START_SECONDS, Machine, machine
from tests.torture.torture import Torture

CLIENTS = 2
# Leases as they are by default: what is short enough to be lost by a slow machine would show nothing.
USUAL = {"run_lease_seconds": "30", "lost_message_seconds": "10", "retry_delay_seconds": "5", "log_level": "info"}
# What a later version may do at once: it adds, and old processes do not look at it.
EXPANDS = (
    "alter table jobs add column colour text",
    "alter table images add column looked_at timestamptz default now()",
    "alter table faces add column ages smallint[] not null default '{}'",
    "create table albums (id bigint primary key, job_id uuid references jobs on delete cascade)",
    "alter table images drop constraint ck_images_stage",
    "alter table images add constraint ck_images_stage check (stage in"
    " ('intake', 'detection', 'captioning', 'embedding', 'scoring', 'printing'))",
    "create index ix_jobs_colour on jobs (colour)",
    "update alembic_version set version_num = '9999'",
)


@pytest.fixture(scope="module")
def torture() -> Iterator[Torture]:
    with machine_folder() as home, machine(home, **USUAL) as running, tortured(running) as made:
        yield made


@pytest.fixture
def balanced(torture: Torture) -> Iterator[dict[str, str]]:
    """The addresses of two API processes, and of `both`, where one may be away. Flower runs as well."""
    machine = torture.machine
    port, flower = free_port("127.0.0.1"), free_port("127.0.0.1")
    more = {"FACEMEM_API_PORT": str(port), "FACEMEM_FLOWER_PORT": str(flower), "FACEMEM_FLOWER_PASSWORD": "a password"}
    for name, module, health in (
        ("api-2", "services.api", f"http://127.0.0.1:{port}/readyz"),
        ("flower", "services.flower", f"http://127.0.0.1:{flower}/healthcheck"),
    ):
        argv, log = [sys.executable, "-m", module], machine.home / "logs" / f"{name}.log"
        machine.facemem.start(Process(name, argv, log, {**machine.environment, **more}))
        machine.facemem.await_ready(name, lambda health=health: answers(health), START_SECONDS)  # type: ignore[misc]
    first = int(machine.api_url.rpartition(":")[2])
    with Relay(("127.0.0.1", first), ("127.0.0.1", port)) as relay:
        both = f"http://127.0.0.1:{relay.port}"
        yield {"api": machine.api_url, "api-2": f"http://127.0.0.1:{port}", "both": both}


class Load:
    """Clients that submit one job after the other and follow each to its end, with no patience but the client's own.

    What goes wrong is raised at the end of the block.
    """

    def __init__(self, torture: Torture, api_url: str) -> None:
        self.torture = torture
        self.api_url = api_url
        self.over = threading.Event()
        self.wrong: list[BaseException] = []
        self.clients = [threading.Thread(target=self._work, args=(number,)) for number in range(CLIENTS)]

    def __enter__(self) -> "Load":
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for client in self.clients:
            client.join()
        if self.wrong:
            raise self.wrong[0]

    def _work(self, number: int) -> None:
        rng = Random(number)
        try:
            with Facemem(self.api_url) as client:
                next(client.jobs(), None)  # it waits for a service that it knows
                while not self.over.is_set() and not self.wrong:
                    files = self.torture.files(rng)
                    job = client.submit(files, idempotency_key=str(uuid4()), captioner="ollama")
                    self.torture.accept(job.id, job.images)
                    while not self.over.is_set() and client.job(job.id).finished_at is None:
                        sleep(0.2)
        except BaseException as error:
            self.wrong.append(error)


def expand(machine: Machine) -> None:
    with machine.database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in EXPANDS:
            connection.execute(text(statement))


def restart(machine: Machine, name: str, url: str | None = None) -> None:
    """Ask a process to stop, and wait until it runs again and does what it is there for. `url`: an API's own."""
    log = machine.home / "logs" / f"{name}.log"
    ready = "Listening" if name.startswith("api") else "_ready"
    before = log.read_text().count(ready)
    machine.await_restart(name, machine.kill(name, signal.SIGTERM))
    for _ in range(2400):
        if log.read_text().count(ready) > before and (url is None or answers(f"{url}/readyz")):
            return
        sleep(0.1)
    raise TimeoutError(f"{name} is not ready again:\n{log.read_text()[-2000:]}")


@pytest.mark.timeout(900)
def test_nothing_is_lost_by_an_upgrade_under_load(torture: Torture, balanced: dict[str, str]) -> None:
    machine = torture.machine
    names = sorted(machine.facemem.pids())
    assert len(names) == 15, "two APIs, two dispatchers, two workers of each kind, Flower"
    torture.forget()
    with Load(torture, balanced["both"]):
        torture.until(lambda: bool(torture.scalar("select exists (select from images where state = 'succeeded')")))
        expand(machine)
        for name in names:
            restart(machine, name, balanced.get(name))
    torture.settle()
    assert torture.broken(may_fail=False) == []
    assert len(torture.accepted) >= CLIENTS
    assert torture.scalar("select count(*) from images where state = 'succeeded'") == sum(torture.accepted.values())
    with machine.database.connect() as connection:
        attempts = connection.execute(text("select stage, reason, detail from attempts")).all()
    assert attempts == [], "an image was charged with a restart"
    assert "schema_newer" in (machine.home / "logs" / "detection-1.log").read_text()


def test_requests_that_are_being_served_are_answered(torture: Torture) -> None:
    machine = torture.machine
    torture.forget()
    with Facemem(machine.api_url) as client:
        job = torture.submit(Random(1))
        client.pause(job)
        answered: list[int] = []

        def wait() -> None:
            answered.append(httpx.get(f"{machine.api_url}/v1/jobs/{job}?wait=6", timeout=120).status_code)

        waiting = threading.Thread(target=wait)
        waiting.start()
        sleep(2)
        restart(machine, "api", machine.api_url)
        waiting.join()
        assert answered == [200]
        client.resume(job)
