"""docker-compose.yml, without Docker: every service's own command runs with its own environment against real servers.

Only addresses are replaced. A process of ours runs in a folder that holds what its image holds, and it cannot import a
package that its image lacks.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psycopg
import pytest
import redis
import yaml

from services.local.postgres import program as postgres_program
from services.local.postgres import unprivileged
from services.local.redis import ASK_ONCE, free_port
from services.local.redis import program as redis_program
from services.local.supervisor import Process, Supervisor
from shared.jobs.states import Stage
from shared.pipeline import celery_app
from shared.pipeline.stages import QUEUES
from tests.compose import (
    ROOT,
    Image,
    Unset,
    optional_variables,
    plain,
    read_compose,
    read_images,
    required_variables,
)

SECRETS = {name: f"secret{number}of{name.replace('_', '')}" for number, name in enumerate(sorted(required_variables()))}
OURS = ("migrate", "api", "dispatcher", *Stage, "flower")
SERVERS = ("postgres", "redis", "s3", "ollama")
ONCE = ("migrate", "ollama-model")
START_SECONDS = 180.0  # torch and the models are read from disk


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return read_compose(SECRETS)


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    return compose["services"]


@pytest.fixture(scope="module")
def images() -> dict[str, Image]:
    return read_images()


# --- What the files say ------------------------------------------------------------------------------------------


def test_nothing_is_forgotten(services: dict[str, Any]) -> None:
    assert set(services) == {*OURS, *SERVERS, "ollama-model"}
    assert {name for name, service in services.items() if service.get("profiles")} == {"ollama", "ollama-model"}


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_no_secret_has_a_default(name: str) -> None:
    with pytest.raises(Unset, match=f"{name}: Set it in .env"):
        read_compose({**SECRETS, name: ""})


def test_the_example_names_every_variable_and_gives_no_secret() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    example = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))

    assert set(example) == required_variables() | optional_variables()
    assert {example[name] for name in required_variables()} == {""}


def test_every_service_is_pinned_limited_restarted_and_checked(services: dict[str, Any]) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for name, service in services.items():
        tag = service["image"].partition(":")[2]
        assert tag == version if name in OURS else re.fullmatch(r"\d+(\.\d+)+", tag), name
        assert service["deploy"]["resources"]["limits"]["memory"], name
        assert service["restart"] == ("on-failure" if name in ONCE else "unless-stopped"), name
        assert ("healthcheck" in service) == (name not in ONCE), name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["logging"]["options"]["max-size"], name


def test_our_processes_can_do_little_harm(services: dict[str, Any], images: dict[str, Image]) -> None:
    for name in OURS:
        assert services[name]["read_only"], name
        assert services[name]["cap_drop"] == ["ALL"], name
        assert services[name]["init"], name
        assert images[name].user == "facemem", name


def test_only_what_people_and_uploads_reach_is_published_and_only_on_this_machine(services: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}

    assert published == {
        "s3": ["127.0.0.1:8333:8333"],
        "api": ["127.0.0.1:8400:8400"],
        "flower": ["127.0.0.1:5555:5555"],
    }


def test_any_worker_can_be_scaled(services: dict[str, Any]) -> None:
    for stage in Stage:
        assert not {"container_name", "hostname", "ports"} & set(services[stage]), stage
        assert all(volume.endswith(":ro") for volume in services[stage].get("volumes", [])), stage
        assert "--name" not in services[stage]["command"], stage


def test_the_images_are_what_compose_builds(services: dict[str, Any], images: dict[str, Image]) -> None:
    for name in OURS:
        assert services[name]["build"]["target"] == name
        assert images[name].command == json.dumps(services[name]["command"]), name
    assert set(images) == {"base", *OURS}


def test_no_image_holds_more_than_it_needs(images: dict[str, Image]) -> None:
    for name in ("migrate", "api", "flower", "dispatcher", "intake", "captioning"):
        assert "torch" in images[name].modules_left_out(), name
    for name in OURS:
        for other in {"flask", "flower", "transformers", "facenet_pytorch"} - {
            "api": {"flask"},
            "flower": {"flower"},
            "embedding": {"transformers", "facenet_pytorch"},
            "detection": {"facenet_pytorch"},
        }.get(name, set()):
            assert other in images[name].modules_left_out(), (name, other)


def test_every_package_of_an_image_is_pinned(images: dict[str, Image]) -> None:
    pinned = {line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    for name in OURS:
        assert images[name].packages() <= set(map(plain, pinned)), name


def test_the_gpu_overlay_changes_services_that_exist(services: dict[str, Any]) -> None:
    overlay = yaml.safe_load((ROOT / "compose.gpu.yml").read_text())["services"]
    assert set(overlay) == {"detection", "embedding", "ollama"}
    for name, service in overlay.items():
        (device,) = service["deploy"]["resources"]["reservations"]["devices"]
        assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
        assert service.get("environment", {}) == ({} if name == "ollama" else {"FACEMEM_DEVICE": "cuda"})


def test_the_s3_server_knows_the_keys_that_our_processes_use(compose: dict[str, Any]) -> None:
    (identity,) = json.loads(compose["configs"]["s3-identities"]["content"])["identities"]
    settings = compose["services"]["detection"]["environment"]

    assert identity["credentials"] == [
        {"accessKey": settings["FACEMEM_S3_ACCESS_KEY"], "secretKey": settings["FACEMEM_S3_SECRET_KEY"]}
    ]
    assert "-s3.config=/etc/seaweedfs/s3.json" in compose["services"]["s3"]["command"]
    assert compose["services"]["s3"]["configs"] == [{"source": "s3-identities", "target": "/etc/seaweedfs/s3.json"}]


# --- What it does ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stack:
    """The services of the file, running here."""

    services: Mapping[str, Any]
    addresses: Mapping[str, str]
    folder: Path
    supervisor: Supervisor

    def moved(self, text: str) -> str:
        """A text of the file with the addresses that things have here."""
        return re.sub("|".join(map(re.escape, self.addresses)), lambda found: self.addresses[found[0]], text)

    def environment(self, name: str) -> dict[str, str]:
        environment = self.services[name].get("environment", {})
        moved = {key: self.moved(str(value)) for key, value in environment.items()}
        here = self.folder / name
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


# Hides the packages that are installed here, but not in the image.
ONLY_THE_IMAGE = """
import sys
from importlib.machinery import PathFinder
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
def stack(
    services: dict[str, Any],
    images: dict[str, Image],
    s3_endpoint: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("compose")
    postgres, broker, api, flower = (free_port("127.0.0.1") for _ in range(4))
    addresses = {
        "postgres:5432": f"127.0.0.1:{postgres}",
        "redis:6379": f"127.0.0.1:{broker}",
        "http://s3:8333": s3_endpoint,
        "http://ollama:11434": "http://127.0.0.1:9",
        "5432": str(postgres),
        "6379": str(broker),
        "8400": str(api),
        "5555": str(flower),
        "/tmp/heartbeat": str(folder / "heartbeat"),
    }
    with Supervisor() as supervisor:
        stack = Stack(services, addresses, folder, supervisor)
        for name in OURS:
            lay_out(name, images[name], folder)
        start_postgres(stack, postgres)
        start_redis(stack, broker)
        migrate = stack.process("migrate")
        subprocess.run(migrate.argv, env={**os.environ, **migrate.environment}, check=True, timeout=120)
        supervisor.start(*(stack.process(name) for name in OURS if name != "migrate"))
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
    assert set(ready.supervisor.pids()) == {"postgres", "redis", *OURS} - {"migrate"}


@pytest.mark.parametrize("name", sorted({"postgres", "redis", *OURS} - {"migrate"}))
def test_every_health_check_says_well(ready: Stack, name: str) -> None:
    if name == "redis" and not Path(redis_program()).with_name("redis-cli").exists():
        pytest.skip("needs redis-cli beside redis-server")
    checked = ready.check_health(name)

    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("name", sorted({"postgres", "redis", *OURS} - {"migrate"}))
def test_every_health_check_says_unwell_when_there_is_nobody(ready: Stack, name: str) -> None:
    nobody = {port: str(free_port("127.0.0.1")) for port in ("5432", "6379", "8400", "5555")}
    gone = Stack(
        ready.services, {**ready.addresses, **nobody, "postgres:5432": "127.0.0.1:9"}, ready.folder, ready.supervisor
    )

    assert gone.check_health(name).returncode != 0


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
