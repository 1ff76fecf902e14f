"""The whole system as processes, on servers that can be killed, behind proxies that misbehave as told."""

import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic, sleep

import psutil
import redis
from moto.server import ThreadedMotoServer
from sqlalchemy import Engine, create_engine

from services.local.postgres import SOCKET_NAME, Postgres, socket_folder
from services.local.redis import Redis, free_port
from services.local.supervisor import Process, Supervisor
from services.local.system import answers
from shared.database.migrate import upgrade
from shared.jobs.states import Stage
from shared.settings import Settings
from shared.storage.s3 import S3Objects
from tests.ollama_server import OllamaServer
from tests.servers import Bucket
from tests.torture.planted import NAMED_IN
from tests.torture.proxy import FaultProxy
from tests.torture.stand_ins import BUILD

ROOT = Path(__file__).resolve().parents[2]
FAKE_CLOCK = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), Path("libfaketime.so.1"))
CLOCKS_SECONDS = 3600  # that a wrong clock is fast
START_SECONDS = 240.0  # thirteen processes, on a machine that may be busy

PLANTED = "planted"

# What takes minutes in operation takes seconds here.
IMPATIENT = {
    "tick_seconds": "0.1",
    "run_lease_seconds": "2",
    "lost_message_seconds": "1.5",
    "max_run_seconds": "15",
    "retry_delay_seconds": "0.2",
    "unavailable_delay_seconds": "0.5",
    "ollama_seconds": "5",
    "requests_per_minute": "1000000",
    "submissions_per_minute": "1000000",
    "fetch_private_addresses": "true",
    "log_level": "warning",
}


@dataclass
class Machine:
    """What runs, and how to reach it: facemem through the proxies, tests past them."""

    home: Path
    api_url: str
    database: Engine
    redis: redis.Redis
    broker_url: str
    objects: S3Objects
    ollama: OllamaServer
    proxies: Mapping[str, FaultProxy]
    servers: Supervisor
    facemem: Supervisor
    environment: Mapping[str, str] = field(repr=False)

    def pid(self, name: str) -> int:
        """The id of a process as it runs now: `api`, `dispatcher-1`, `detection-2`, `postgres`, `redis`."""
        return {**self.servers.pids(), **self.facemem.pids()}[name]

    def workers(self, stage: str) -> list[str]:
        """The names of the workers of a stage."""
        return [name for name in self.facemem.pids() if name.startswith(f"{stage}-")]

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a process a signal; it is started again if that ends it. Returns the id that it had."""
        pid = self.pid(name)
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        return pid

    def await_restart(self, name: str, before: int) -> None:
        """Wait until a process that had this id runs again."""
        deadline = monotonic() + START_SECONDS
        while self.pid(name) == before or not psutil.pid_exists(self.pid(name)):
            if monotonic() > deadline:
                raise TimeoutError(f"{name} was not started again")
            sleep(0.02)

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """A process, and all that it has started, stands still as long as the block lasts."""
        process = psutil.Process(self.pid(name))
        every = [process, *process.children(recursive=True)]
        for each in every:
            with suppress(psutil.NoSuchProcess):
                each.suspend()
        try:
            yield
        finally:
            for each in every:
                with suppress(psutil.NoSuchProcess):
                    each.resume()


@contextmanager
def machine(
    home: Path, workers: int = 2, wrong_clocks: bool = False, planted: bool = False, **settings: str
) -> Iterator[Machine]:
    """Everything running: two dispatchers, and so many workers of each kind. Servers keep their data below `home`.

    planted: whether processes have the fault that is named in the file `planted` below `home`.
    settings: those that are to be other than in `IMPATIENT`.
    """
    with ExitStack() as stack:
        servers = stack.enter_context(Supervisor())
        places = [home / name for name in ("database", "broker", "temporary", "logs")]
        for place in places:
            place.mkdir(exist_ok=True)
        sockets = socket_folder(home / "sockets")
        postgres = Postgres(places[0] / "cluster", sockets, places[3] / "postgres.log")
        url = postgres.start(servers)
        broker = Redis(places[1], places[3] / "redis.log")
        broker.start(servers)
        upgrade(url)
        servers.keep_running()
        s3_port = stack.enter_context(_storage_server())
        bucket = Bucket("s3://torture", f"http://127.0.0.1:{s3_port}")
        objects = S3Objects(Settings(database_url=url, broker_url=broker.url(), **asdict(bucket)), bucket.name)
        objects.create_bucket()
        ollama = stack.enter_context(OllamaServer())
        targets: dict[str, int | Path] = {
            "postgres": sockets / SOCKET_NAME,
            "redis": broker.port,
            "s3": s3_port,
            "ollama": int(ollama.url.rpartition(":")[2]),
        }
        proxies = {name: stack.enter_context(FaultProxy(target)) for name, target in targets.items()}
        environment = _environment(proxies, broker, bucket, places[2], settings)
        facemem = stack.enter_context(Supervisor())
        launched = []
        if planted:
            environment[NAMED_IN] = str(home / PLANTED)
            (home / PLANTED).touch()
            launched = ["tests.torture.planted"]
        facemem.start(*_processes(environment, places[3], workers, wrong_clocks, launched))
        api_url = f"http://127.0.0.1:{environment['FACEMEM_API_PORT']}"
        database = create_engine(url, pool_pre_ping=True)
        stack.callback(database.dispose)
        client = redis.Redis.from_url(broker.url())
        made = Machine(
            home, api_url, database, client, broker.url(), objects, ollama, proxies, servers, facemem, environment
        )
        facemem.await_ready("api", lambda: answers(f"{api_url}/readyz"), START_SECONDS)
        facemem.keep_running()
        yield made


@contextmanager
def _storage_server() -> Iterator[int]:
    """An S3 server; gives its port."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


def _environment(
    proxies: Mapping[str, FaultProxy], broker: Redis, bucket: Bucket, temporary: Path, further: Mapping[str, str]
) -> dict[str, str]:
    ports = {name: proxy.port for name, proxy in proxies.items()}
    settings = {
        **IMPATIENT,
        "database_url": f"postgresql+psycopg://facemem@127.0.0.1:{ports['postgres']}/facemem?sslmode=disable",
        "broker_url": f"redis://:{broker.password}@127.0.0.1:{ports['redis']}/0",
        "storage_url": bucket.storage_url,
        "s3_endpoint": f"http://127.0.0.1:{ports['s3']}",
        "s3_access_key": bucket.s3_access_key,
        "s3_secret_key": bucket.s3_secret_key,
        "ollama_url": f"http://127.0.0.1:{ports['ollama']}",
        "api_port": str(free_port("127.0.0.1")),
        **further,
    }
    return {
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(temporary),
        **{f"FACEMEM_{name.upper()}": value for name, value in settings.items()},
    }


def _processes(
    environment: Mapping[str, str], logs: Path, workers: int, wrong_clocks: bool, launched: Sequence[str]
) -> Iterator[Process]:
    clock = {
        "LD_PRELOAD": str(FAKE_CLOCK),
        "FAKETIME": f"+{CLOCKS_SECONDS}s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }

    def process(name: str, *arguments: str, further: Mapping[str, str] = {}) -> Process:
        return Process(
            name, [sys.executable, "-m", *launched, *arguments], logs / f"{name}.log", {**environment, **further}
        )

    yield process("api", "services.api")
    for number in (1, 2):
        yield process(f"dispatcher-{number}", "workers.dispatcher")
    for stage in Stage:
        module = ["tests.torture.stand_ins", str(stage)] if stage in BUILD else [f"workers.{stage}"]
        for number in range(1, workers + 1):
            name = f"{stage}-{number}"
            # Of two workers one has the right time, so that they disagree.
            wrong = wrong_clocks and number == 1
            yield process(name, *module, "--name", name, further=clock if wrong else {})
