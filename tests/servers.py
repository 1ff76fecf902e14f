"""The real servers that tests run against: PostgreSQL, Redis and an S3 server over HTTP.

A plugin for pytest: name it in `pytest_plugins`. Each server starts once in a session, when the first test asks for it;
each test has a database, a Redis database number and a bucket of its own.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import boto3
import psycopg
import pytest
import redis
from moto.server import ThreadedMotoServer
from psycopg import sql

from services.local.postgres import USER, Postgres, socket_folder
from services.local.redis import Redis
from services.local.supervisor import Supervisor
from shared.database.migrate import upgrade

REDIS_DATABASES = 16


@dataclass(frozen=True)
class Bucket:
    """An empty bucket on a server that speaks S3 over HTTP. The fields are named as in shared.settings."""

    storage_url: str
    s3_endpoint: str
    s3_access_key: str = "test-access"
    s3_secret_key: str = "test-secret"
    s3_region: str = "us-east-1"

    @property
    def name(self) -> str:
        return self.storage_url.removeprefix("s3://")

    def client(self) -> "boto3.client":
        """A bare boto3 client, to look at what the code under test has stored."""
        return boto3.client(
            "s3",
            endpoint_url=self.s3_endpoint,
            aws_access_key_id=self.s3_access_key,
            aws_secret_access_key=self.s3_secret_key,
            region_name=self.s3_region,
        )


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A running PostgreSQL 18 without any of our tables."""
    folder = tmp_path_factory.mktemp("postgres")
    server = Postgres(folder / "cluster", socket_folder(folder / "sockets"), folder / "postgres.log")
    with Supervisor() as supervisor:
        server.start(supervisor)
        with psycopg.connect(host=str(server.sockets), user=USER, dbname="postgres", autocommit=True) as admin:
            # A database for each test is much to write; none of it has to outlive a power cut.
            for name in ("fsync", "full_page_writes"):
                admin.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(name)))
            admin.execute("SELECT pg_reload_conf()")
        yield server


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """A running Redis."""
    folder = tmp_path_factory.mktemp("redis")
    server = Redis(folder, folder / "redis.log")
    with Supervisor() as supervisor:
        server.start(supervisor)
        yield server


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The address of a running S3 server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def create_database(postgres_server: Postgres) -> Callable[[str | None], str]:
    """A function that creates a database, as a copy of another one or empty, and returns its URL."""

    def create(template: str | None) -> str:
        name = f"test_{uuid4().hex[:12]}"
        with psycopg.connect(host=str(postgres_server.sockets), user=USER, dbname="postgres", autocommit=True) as admin:
            admin.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(name), sql.Identifier(template or "template1")
                )
            )
        return postgres_server.url(name)

    return create


@pytest.fixture(scope="session")
def migrated_template(postgres_server: Postgres) -> str:
    """The name of a database with our tables and no rows. Nobody may stay connected to it."""
    upgrade(postgres_server.url())
    return "facemem"


@pytest.fixture
def empty_database_url(create_database: Callable[[str | None], str]) -> str:
    """A database of this test's own, without tables."""
    return create_database(None)


@pytest.fixture
def database_url(create_database: Callable[[str | None], str], migrated_template: str) -> str:
    """A database of this test's own, with all tables and no rows."""
    return create_database(migrated_template)


_redis_numbers = itertools.cycle(range(REDIS_DATABASES))


@pytest.fixture
def broker_url(redis_server: Redis) -> str:
    """An empty Redis database."""
    url = redis_server.url(next(_redis_numbers))
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture
def bucket(s3_endpoint: str) -> Bucket:
    """An empty bucket of this test's own."""
    name = f"test-{uuid4().hex[:12]}"
    fresh = Bucket(f"s3://{name}", s3_endpoint)
    fresh.client().create_bucket(Bucket=name)
    return fresh


@pytest.fixture
def storage_folder_url(tmp_path: Path) -> str:
    """A folder of this test's own to keep objects in."""
    folder = tmp_path / "objects"
    folder.mkdir()
    return f"folder:{folder}"
