"""The whole system as processes, on servers that the tests can look into."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import psutil
import pytest
import redis
from sqlalchemy import Engine, create_engine, text

from services.client import Facemem
from services.local.system import LocalSystem, local_system
from shared.jobs.states import Stage
from shared.pipeline.stages import QUEUES
from shared.settings import LocalSettings
from tests.processes import alive
from tests.servers import Bucket


@dataclass(frozen=True)
class Running:
    """A running system, a client of it, and its database to look into."""

    system: LocalSystem
    client: Facemem
    database: Engine
    bucket: Bucket
    broker_url: str

    @property
    def url(self) -> str:
        return self.system.api_url

    def stored(self) -> list[str]:
        """The keys of all objects."""
        listed = self.bucket.client().list_objects_v2(Bucket=self.bucket.name, Prefix="jobs/")
        return [entry["Key"] for entry in listed.get("Contents", [])]

    def content(self, key: str) -> bytes:
        return self.bucket.client().get_object(Bucket=self.bucket.name, Key=key)["Body"].read()

    def messages(self) -> int:
        """Messages that wait in any queue or are not acknowledged."""
        with redis.Redis.from_url(self.broker_url) as broker:
            return sum(broker.llen(name) for name in QUEUES) + broker.hlen("unacked")

    def workers(self, stage: str) -> list[psutil.Process]:
        """The processes of a kind of worker, as they are now."""
        ours = psutil.Process().children(recursive=True)
        return [process for process in ours if f"workers.{stage}" in _command(process)]

    def scalar(self, query: str, **values: object) -> object:
        with self.database.connect() as connection:
            return connection.execute(text(query), values).scalar_one()


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline() if alive(process) else []
    except psutil.NoSuchProcess:
        return []


def wait_until(happened: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for something that happens soon."""
    deadline = monotonic() + seconds
    while not happened():
        assert monotonic() < deadline, "it did not happen in time"
        sleep(0.1)


Start = Callable[..., AbstractContextManager[Running]]


@pytest.fixture
def start(database_url: str, broker_url: str, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """A function that runs the whole system on real servers: Postgres, Redis and S3 over HTTP.

    Its arguments are further settings, as the environment would name them.
    """

    @contextmanager
    def run(workers: dict[str, int] | None = None, **settings: str) -> Iterator[Running]:
        environment = {
            "FACEMEM_S3_ENDPOINT": bucket.s3_endpoint,
            "FACEMEM_S3_ACCESS_KEY": bucket.s3_access_key,
            "FACEMEM_S3_SECRET_KEY": bucket.s3_secret_key,
            "FACEMEM_API_PORT": "0",
            "FACEMEM_FLOWER_PORT": "0",
            **{f"FACEMEM_{name.upper()}": value for name, value in settings.items()},
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        local = LocalSettings(
            home=tmp_path / "home", database_url=database_url, broker_url=broker_url, storage_url=bucket.storage_url
        )
        one_of_each = dict.fromkeys(Stage, 1)
        engine = create_engine(database_url)
        with local_system(local, {**one_of_each, **(workers or {})}) as system:
            yield Running(system, Facemem(system.api_url), engine, bucket, broker_url)
        engine.dispose()

    return run
