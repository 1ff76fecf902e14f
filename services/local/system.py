"""All of facemem on one machine: servers of our own where none are named, then the processes of facemem.

with local_system(LocalSettings()) as system:
    print(system.api_url)
    system.wait()
"""

import os
import signal
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPException
from pathlib import Path
from types import MappingProxyType

from pydantic import SecretStr

from services.local import flower
from services.local.bundles import bundles_folder, chosen
from services.local.folder import DataFolder, Run
from services.local.postgres import Postgres, socket_folder
from services.local.redis import Redis, free_port
from services.local.scraped import Scraped
from services.local.standing import changes_told
from services.local.supervisor import Process, Report, Supervisor, to_nobody
from shared.database.migrate import upgrade
from shared.jobs.states import Stage
from shared.pipeline.stages import PLANS
from shared.settings import LocalSettings, Settings

ONE_OF_EACH: Mapping[Stage, int] = MappingProxyType(dict.fromkeys(Stage, 1))
READY_SECONDS = 180.0  # the first start on a cold disk reads a gigabyte of libraries
PROBE_SECONDS = 5.0
EVERY_ADDRESS = ("0.0.0.0", "::", "")  # noqa: S104 - what a setting may say, not what is bound
# Large buffers stay with the process. glibc would give them back after every image and take them again, page by page,
# for the next, which shows in the time that finding faces takes. One arena, or each thread that computes keeps its own.
KEEP_BUFFERS = {
    "MALLOC_MMAP_THRESHOLD_": "268435456",
    "MALLOC_TRIM_THRESHOLD_": "536870912",
    "MALLOC_ARENA_MAX": "1",
}
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class LocalSystem:
    """A system that is running and ready."""

    api_url: str
    flower_url: str
    flower_login: str
    """What Flower asks for, in words."""
    folder: DataFolder
    pids: Callable[[], dict[str, int]]
    """The ids of the processes by name, as they are when it is called."""
    scrape_file: Path | None = None
    """Where Prometheus reads the addresses of all metrics, if `metrics_port` is set."""

    def wait(self) -> None:
        """Returns on Ctrl-C, SIGTERM or the closing of the terminal. For the main thread only."""
        asked = threading.Event()
        # Who started us may have said that we are to go on through one of them, as nohup does.
        heeded = [number for number in STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, lambda *_: asked.set()) for number in heeded}
        try:
            asked.wait()
        finally:
            # So that a second Ctrl-C interrupts an orderly stop; the guard then ends what is left.
            for number, answer in before.items():
                signal.signal(number, answer)


@contextmanager
def local_system(
    local: LocalSettings, workers: Mapping[Stage, int] = ONE_OF_EACH, report: Report = to_nobody
) -> Iterator[LocalSystem]:
    """Starts everything, yields when the API is ready, stops everything at the end of the block.

    `workers` says how many processes of each kind to run. Processes that end meanwhile are started again. Raises
    FolderInUse, BundleInvalid if the folder's default bundle is gone, and StartFailed with the end of the log of the
    process to blame.
    """
    folder = DataFolder(local.home)
    models = {"FACEMEM_BUNDLE": chosen(local), "FACEMEM_BUNDLES_FOLDER": str(bundles_folder(local))}
    with folder.hold() as lock, Supervisor(report, inherited=[lock]) as supervisor:
        settings = _servers(local, folder, supervisor)
        report("database", "bringing tables up to date")
        upgrade(settings.database_url.get_secret_value())

        scraped = Scraped(settings, folder.scrape_file)
        flower_url = _address(settings.flower_host, settings.flower_port)
        window = flower.environment(settings, folder.flower_password, flower_url)
        supervisor.start(*_processes(settings, workers, folder, {**models, **window}, scraped))
        api_url = _address(settings.api_host, settings.api_port)
        supervisor.await_ready("api", lambda: answers(f"{api_url}/readyz"), READY_SECONDS)
        supervisor.keep_running()

        login = flower.login(settings, folder.flower_password)
        system = LocalSystem(api_url, flower_url, login, folder, supervisor.pids, scraped.announce())
        folder.announce(Run(os.getpid(), system.api_url, system.flower_url))
        report("facemem", f"ready at {api_url}")
        with changes_told(api_url, report):
            yield system


def _servers(local: LocalSettings, folder: DataFolder, supervisor: Supervisor) -> Settings:
    """The settings of all our processes, after starting the servers that `local` does not name."""
    database_url, broker_url = local.database_url, local.broker_url
    if database_url is None:
        server = Postgres(folder.postgres, socket_folder(folder.home / "sockets"), folder.logs / "postgres.log")
        database_url = SecretStr(server.start(supervisor))
    if broker_url is None:
        broker_url = SecretStr(Redis(folder.redis, folder.logs / "redis.log").start(supervisor))
    storage_url = local.storage_url or f"folder:{folder.objects}"
    named = Settings(database_url=database_url, broker_url=broker_url, storage_url=storage_url)
    ports = {
        "api_port": free_port(named.api_host, named.api_port),
        "flower_port": free_port(named.flower_host, named.flower_port),
    }
    return named.model_copy(update=ports)


def _processes(
    settings: Settings,
    workers: Mapping[Stage, int],
    folder: DataFolder,
    further: Mapping[str, str],
    scraped: Scraped,
) -> Iterator[Process]:
    threads = str(settings.threads or _threads_each(workers))
    environment = {
        **KEEP_BUFFERS,
        **further,
        "FACEMEM_DATABASE_URL": settings.database_url.get_secret_value(),
        "FACEMEM_BROKER_URL": settings.broker_url.get_secret_value(),
        "FACEMEM_STORAGE_URL": settings.storage_url,
        "FACEMEM_API_PORT": str(settings.api_port),
        "FACEMEM_FLOWER_PORT": str(settings.flower_port),
        "FACEMEM_THREADS": threads,
        "OMP_NUM_THREADS": threads,  # numpy's and every other library's
        "OPENBLAS_NUM_THREADS": threads,
    }

    def process(name: str, module: str, *options: str) -> Process:
        # -P: a folder named `shared` or `services` where facemem is started must not be taken for ours.
        argv = [sys.executable, "-P", "-m", module, *options]
        return Process(name, argv, folder.logs / f"{name}.log", environment)

    def watched(name: str, kind: str, *options: str) -> Process:
        """A process that says all the time that it is not frozen."""
        beating, heartbeat = process(name, f"workers.{kind}", *options), folder.heartbeats / name
        named = {**environment, **scraped.place(name, kind), "FACEMEM_HEARTBEAT_FILE": str(heartbeat)}
        return replace(beating, environment=named, heartbeat=heartbeat)

    api = process("api", "services.api")
    yield replace(api, environment={**environment, **scraped.place("api", "api", settings.api_processes)})
    yield watched("dispatcher", "dispatcher")
    for stage, count in workers.items():
        for number in range(1, count + 1):
            name = f"{stage}-{number}"
            yield watched(name, stage, "--name", name)
    yield process("flower", "services.flower")


def _threads_each(workers: Mapping[Stage, int]) -> int:
    """Compute threads for one process, so that all of them together do not ask for more cores than there are."""
    computing = sum(count for stage, count in workers.items() if PLANS[stage].computes)
    return max(1, (os.cpu_count() or 1) // max(1, computing))


def _address(host: str, port: int) -> str:
    """The URL under which a server bound to `host` is reached from this machine."""
    if host in EVERY_ADDRESS:
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def answers(url: str) -> bool:
    """Whether an address answers with 200."""
    # A proxy named in the environment does not lead to this machine.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=PROBE_SECONDS) as response:
            return bool(response.status == 200)
    except (OSError, HTTPException):
        return False
