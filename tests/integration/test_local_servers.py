"""The embedded servers: they keep their data, survive a crash, and let nobody else in."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import redis
from sqlalchemy import NullPool, create_engine, text

from services.local.postgres import DATABASE, USER, Postgres, socket_folder, unprivileged
from services.local.redis import ASK_ONCE, Redis, free_port
from services.local.supervisor import Supervisor


@contextmanager
def postgres(folder: Path) -> Iterator[tuple[Supervisor, Postgres]]:
    server = Postgres(folder / "postgres", socket_folder(folder / "sockets"), folder / "postgres.log")
    with Supervisor() as supervisor:
        server.start(supervisor)
        yield supervisor, server


def connect(server: Postgres) -> psycopg.Connection:
    return psycopg.connect(host=str(server.sockets), user=USER, dbname=DATABASE, autocommit=True)


def test_the_database_is_there_and_durable(tmp_path: Path) -> None:
    with postgres(tmp_path) as (_, server), create_engine(server.url(), poolclass=NullPool).connect() as connection:
        durable = [connection.scalar(text(f"SHOW {name}")) for name in ("fsync", "full_page_writes")]

        assert durable == ["on", "on"]
        assert connection.scalar(text("SHOW server_encoding")) == "UTF8"
        assert connection.scalar(text("SHOW server_version")).startswith("18.")
        assert connection.scalar(text("SHOW listen_addresses")) == ""
        assert server.sockets.stat().st_mode & 0o777 == 0o700


def test_postgres_keeps_its_rows_through_stop_and_crash(tmp_path: Path) -> None:
    with postgres(tmp_path) as (_, server), connect(server) as connection:
        connection.execute("CREATE TABLE kept (line text)")
        connection.execute("INSERT INTO kept VALUES ('stopped')")
    assert "database system is shut down" in server.log.read_text()

    with postgres(tmp_path) as (supervisor, server):
        with connect(server) as connection:
            connection.execute("INSERT INTO kept VALUES ('crashed')")
        os.kill(supervisor.pids()["postgres"], signal.SIGKILL)

    with postgres(tmp_path) as (_, server), connect(server) as connection:
        assert connection.execute("SELECT line FROM kept").fetchall() == [("stopped",), ("crashed",)]
    assert "automatic recovery in progress" in server.log.read_text()


def test_postgres_starts_although_its_old_process_id_is_now_another_process(tmp_path: Path) -> None:
    """As after a power cut: the file that names the server's process is still there, and the number is in use."""
    with postgres(tmp_path) as (_, server):
        note = (server.cluster / "postmaster.pid").read_text()
    _, _, rest = note.partition("\n")
    (server.cluster / "postmaster.pid").write_text(f"{os.getpid()}\n{rest}")

    with postgres(tmp_path) as (_, server), connect(server) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_an_interrupted_creation_is_begun_again(tmp_path: Path) -> None:
    (tmp_path / "postgres.new").mkdir()
    (tmp_path / "postgres.new" / "half").touch()

    with postgres(tmp_path) as (_, server):
        assert not (server.cluster / "half").exists()


def test_a_folder_too_deep_for_a_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("deep" * 30)
    deep.mkdir()
    with postgres(deep) as (_, server), connect(server):
        assert not server.sockets.is_relative_to(tmp_path)
        assert server.sockets.stat().st_mode & 0o777 == 0o700
    shutil.rmtree(server.sockets)


STARTED_BY_AN_ORDINARY_USER = """
import os, sys
from pathlib import Path
from services.local.postgres import Postgres
from services.local.supervisor import Supervisor
here = Path(sys.argv[1])
with Supervisor() as supervisor:
    Postgres(here / "postgres", here, here / "postgres.log").start(supervisor)
    print(os.geteuid(), (here / "postgres").stat().st_uid)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="every other test of an ordinary user's session is this test")
def test_an_ordinary_user_can_start_it() -> None:
    nobody = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        argv = [*unprivileged(), sys.executable, "-c", STARTED_BY_AN_ORDINARY_USER, folder]
        started = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert started.stdout.split() == [str(nobody.pw_uid)] * 2, started.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is refused by PostgreSQL")
def test_root_can_start_it_in_a_folder_closed_to_all_others(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with postgres(tmp_path) as (supervisor, _):
        pid = supervisor.pids()["postgres"]

        assert Path(f"/proc/{pid}").stat().st_uid == pwd.getpwnam("nobody").pw_uid


def test_redis_keeps_its_keys(tmp_path: Path) -> None:
    for expected in (None, b"kept"):
        server = Redis(tmp_path, tmp_path / "redis.log")
        with Supervisor() as supervisor, redis.Redis.from_url(server.start(supervisor)) as client:
            assert client.get("key") == expected
            client.set("key", "kept")


def test_redis_never_forgets_a_message_to_make_room_and_wants_its_password(tmp_path: Path) -> None:
    server = Redis(tmp_path, tmp_path / "redis.log")
    with Supervisor() as supervisor:
        with redis.Redis.from_url(server.start(supervisor)) as client:
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            assert client.config_get("appendonly") == {"appendonly": "yes"}
        with redis.Redis(port=server.port, retry=ASK_ONCE) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()

    assert (tmp_path / "redis.conf").stat().st_mode & 0o777 == 0o600
    assert server.password not in repr(server)


def test_a_port_in_use_is_passed_over() -> None:
    free = free_port("127.0.0.1")
    assert free_port("127.0.0.1", free) == free

    with socket.create_server(("127.0.0.1", free)):
        assert free_port("127.0.0.1", free) != free
