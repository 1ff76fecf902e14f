"""docker-compose.yml, without Docker: every service's own command runs with its own environment against real servers.

Only addresses are replaced. A process of ours runs in a folder that holds what its image holds, and it cannot import a
package that its image lacks. What the files say is read in `tests/unit/test_compose_files.py`.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psycopg
import pytest
import redis

from services.local.postgres import program as postgres_program
from services.local.postgres import unprivileged
from services.local.redis import ASK_ONCE, free_port
from services.local.redis import program as redis_program
from services.local.supervisor import Process, Supervisor
from shared.metrics import DATABASE_UP
from shared.pipeline import celery_app
from shared.pipeline.stages import QUEUES
from tests.compose import ONCE, OURS, SECRETS, SERVERS, SHOW_METRICS, Image, read_compose, read_images
from tests.scraping import scrape, value

START_SECONDS = 180.0  # torch and the models are read from disk


@dataclass(frozen=True)
class Stack:
    """The services of the file, running here."""

    services: Mapping[str, Any]
    addresses: Mapping[str, str]
    folder: Path
    supervisor: Supervisor
    metrics: Mapping[str, int]
    """The ports of those that show metrics. Each has a network of its own in compose, and the same port there."""

    def moved(self, text: str) -> str:
        """A text of the file with the addresses that things have here."""
        return re.sub("|".join(map(re.escape, self.addresses)), lambda found: self.addresses[found[0]], text)

    def environment(self, name: str) -> dict[str, str]:
        environment = self.services[name].get("environment", {})
        moved = {key: self.moved(str(value)) for key, value in environment.items()}
        here = self.folder / name
        if name in self.metrics:
            moved["FACEMEM_METRICS_PORT"] = str(self.metrics[name])
        return moved if name in SERVERS else {**moved, "PYTHONPATH": str(here)}

    def argv(self, name: str, words: list[str]) -> list[str]:
        program, *options = map(self.moved, words)
        if program != "python":
            return [program, *options]
        return ["env", f"--chdir={self.folder / name}", sys.executable, *options]

    def process(self, name: str) -> Process:
        argv = self.argv(name, self.services[name]["command"])
        return Process(name, argv, self.folder / f"{name}.log", self.environment(name))

    def check_health(self, name: str) -> subprocess.CompletedProcess[str]:
        """Runs the service's own health check, once."""
        kind, *words = self.services[name]["healthcheck"]["test"]
        argv = self.argv(name, words) if kind == "CMD" else ["/bin/sh", "-c", *map(self.moved, words)]
        paths = [str(Path(program()).parent) for program in (lambda: postgres_program("postgres"), redis_program)]
        environment = {**os.environ, "PATH": ":".join([*paths, os.environ["PATH"]]), **self.environment(name)}
        return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=60)


# Hides the packages that are installed here, but not in the image; and our own code, but for what the image holds.
ONLY_THE_IMAGE = """
import sys
from importlib.machinery import PathFinder
sys.meta_path[:] = [each for each in sys.meta_path if not getattr(each, "__module__", "").startswith("__editable__")]
class ImageFinder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {modules!r} else super().find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = ImageFinder
"""


def lay_out(name: str, image: Image, folder: Path) -> None:
    image.lay_out(folder / name)
    (folder / name / "sitecustomize.py").write_text(ONLY_THE_IMAGE.format(modules=image.modules_left_out()))


def start_postgres(stack: Stack, port: int) -> None:
    """What the image does: a cluster with the user, the password and the database of the environment."""
    given = stack.environment("postgres")
    cluster, password = stack.folder / "postgres", stack.folder / "password"
    password.write_text(given["POSTGRES_PASSWORD"])
    initdb = [postgres_program("initdb"), "-D", cluster, "-U", given["POSTGRES_USER"], f"--pwfile={password}"]
    initdb += ["--auth=scram-sha-256", "--no-sync"]
    subprocess.run([*unprivileged(), *initdb], check=True, stdout=subprocess.DEVNULL)
    program, *options = stack.services["postgres"]["command"]
    here = ["-D", str(cluster), "-c", f"port={port}", "-c", f"unix_socket_directories={cluster}", "-c", "fsync=off"]
    argv = [*unprivileged(), postgres_program(program), *options, *here]
    stack.supervisor.start(Process("postgres", argv, stack.folder / "postgres.log"))
    address = f"host=127.0.0.1 port={port} user={given['POSTGRES_USER']} password={given['POSTGRES_PASSWORD']}"

    def answers() -> bool:
        try:
            psycopg.connect(f"{address} dbname=postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    stack.supervisor.await_ready("postgres", answers, START_SECONDS)
    with psycopg.connect(f"{address} dbname=postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {given['POSTGRES_DB']}")  # type: ignore[arg-type]


def start_redis(stack: Stack, port: int) -> None:
    folder = stack.folder / "redis"
    folder.mkdir()
    _, *options = stack.services["redis"]["command"]
    argv = [redis_program(), *options, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    stack.supervisor.start(Process("redis", argv, stack.folder / "redis.log"))
    password = stack.environment("redis")["REDISCLI_AUTH"]

    def answers() -> bool:
        with redis.Redis(port=port, password=password, retry=ASK_ONCE) as client:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False

    stack.supervisor.await_ready("redis", answers, START_SECONDS)


@pytest.fixture(scope="module")
def stack(s3_endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    services, images = read_compose(SECRETS)["services"], read_images()
    folder = tmp_path_factory.mktemp("compose")
    postgres, broker, api, flower = (free_port("127.0.0.1") for _ in range(4))
    addresses = {
        "postgres:5432": f"127.0.0.1:{postgres}",
        "redis:6379": f"127.0.0.1:{broker}",
        "http://s3:8333": s3_endpoint,
        "http://ollama:11434": "http://127.0.0.1:9",
        "5432": str(postgres),
        "6379": str(broker),
        # The doctor is told of a system elsewhere, which an address of this machine's own would not be.
        "http://api:8400": f"http://0.0.0.0:{api}",
        "http://flower:5555": f"http://0.0.0.0:{flower}",
        "8400": str(api),
        "5555": str(flower),
        "/tmp/heartbeat": str(folder / "heartbeat"),
    }
    with Supervisor() as supervisor:
        metrics = {name: free_port("127.0.0.1") for name in SHOW_METRICS}
        stack = Stack(services, addresses, folder, supervisor, metrics)
        for name in OURS:
            lay_out(name, images[name], folder)
        start_postgres(stack, postgres)
        start_redis(stack, broker)
        migrate = stack.process("migrate")
        subprocess.run(migrate.argv, env={**os.environ, **migrate.environment}, check=True, timeout=120)
        supervisor.start(*(stack.process(name) for name in OURS if name not in ONCE))
        yield stack


@pytest.fixture(scope="module")
def ready(stack: Stack) -> Stack:
    """The stack, when every process has said that it is ready."""
    celery = celery_app.build(stack.environment("detection")["FACEMEM_BROKER_URL"])

    def everybody_is_there() -> bool:
        queues = celery.control.inspect(timeout=1).active_queues() or {}
        return {queue["name"] for listening in queues.values() for queue in listening} == set(QUEUES)

    def answers(address: str) -> Callable[[], bool]:
        def asked() -> bool:
            try:
                with urlopen(address, timeout=10) as response:
                    return bool(response.status == 200)
            except OSError:
                return False

        return asked

    api, flower = stack.addresses["8400"], stack.addresses["5555"]
    stack.supervisor.await_ready("api", answers(f"http://127.0.0.1:{api}/readyz"), START_SECONDS)
    stack.supervisor.await_ready("flower", answers(f"http://127.0.0.1:{flower}/healthcheck"), START_SECONDS)
    stack.supervisor.await_ready("detection", everybody_is_there, START_SECONDS)
    log = stack.folder / "dispatcher.log"
    stack.supervisor.await_ready("dispatcher", lambda: "dispatcher_ready" in log.read_text(), START_SECONDS)
    celery.close()
    return stack


def test_every_process_becomes_ready_with_its_own_command_environment_and_image(ready: Stack) -> None:
    assert set(ready.supervisor.pids()) == {"postgres", "redis", *OURS} - {*ONCE}


def test_the_doctor_looks_into_what_runs(ready: Stack) -> None:
    """From its own image. No backup was made yet; everything else is as it should be."""
    doctor = ready.process("doctor")
    ended = subprocess.run(
        [*doctor.argv, "--json"],
        env={**os.environ, **doctor.environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = {line["name"]: line for line in map(json.loads, ended.stdout.splitlines())}
    looked_into = {"PostgreSQL", "Redis", "Flower", "storage", "tables", "connections", "workers", "running system"}
    assert looked_into <= set(found)
    assert "torch" not in found, "that is no matter of its own container"
    assert {name for name, each in found.items() if each["verdict"] != "ok"} == {"backup"}


@pytest.mark.parametrize("name", sorted({"postgres", "redis", *OURS} - {*ONCE}))
def test_every_health_check_says_well(ready: Stack, name: str) -> None:
    if name == "redis" and not Path(redis_program()).with_name("redis-cli").exists():
        pytest.skip("needs redis-cli beside redis-server")
    checked = ready.check_health(name)

    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("name", sorted({"postgres", "redis", *OURS} - {*ONCE}))
def test_every_health_check_says_unwell_when_there_is_nobody(ready: Stack, name: str) -> None:
    nobody = {port: str(free_port("127.0.0.1")) for port in ("5432", "6379", "8400", "5555")}
    gone = replace(ready, addresses={**ready.addresses, **nobody, "postgres:5432": "127.0.0.1:9"})

    assert gone.check_health(name).returncode != 0


@pytest.mark.parametrize("name", SHOW_METRICS)
def test_every_process_shows_its_metrics(ready: Stack, name: str) -> None:
    shown = scrape(f"127.0.0.1:{ready.metrics[name]}")

    assert value(shown, "process_resident_memory_bytes") > 1e6
    assert value(shown, DATABASE_UP) == (name == "api")


def test_a_backup_is_made_by_the_image_of_the_migrations(ready: Stack, tmp_path: Path) -> None:
    key = ready.argv("api", ["python", "-m", "services.api.keys", "create", "--name", "kept"])
    subprocess.run(key, env={**os.environ, **ready.environment("api")}, check=True, timeout=120)
    argv = ready.argv("migrate", ["python", "-m", "services.backup", "create", str(tmp_path / "kept.tar")])
    environment = {**os.environ, **ready.environment("migrate")}
    subprocess.run(argv, env=environment, check=True, timeout=120)
    assert [path.name for path in tmp_path.iterdir()] == ["kept.tar"]
    refused = subprocess.run(
        [*argv[:-2], "restore", argv[-1]], env=environment, check=False, capture_output=True, text=True, timeout=120
    )
    assert refused.returncode == 1
    assert "restored into an empty system only" in refused.stderr


def test_flower_asks_for_its_password(ready: Stack) -> None:
    with pytest.raises(OSError, match="401"):
        urlopen(f"http://127.0.0.1:{ready.addresses['5555']}/workers")


def test_redis_keeps_messages_and_wants_its_password(ready: Stack) -> None:
    url = ready.environment("api")["FACEMEM_BROKER_URL"]
    with redis.Redis.from_url(url) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert int(client.config_get("maxmemory")["maxmemory"]) > 0
    stranger = redis.Redis.from_url(url.replace(SECRETS["REDIS_PASSWORD"], "guess"), retry=ASK_ONCE)
    with stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
