"""Exports over a real connection to the served API: when clients go away, and when the server does."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from time import monotonic, sleep
from uuid import UUID

import httpx
import pytest
from sqlalchemy import Engine, text

from services.api.export import MOST_AT_ONCE
from shared.settings import Settings
from tests.integration.api.scored import scored_job


@pytest.fixture
def job(database: Engine) -> UUID:
    """Large enough that no buffer between server and client holds an export of it: 40 MB."""
    job = scored_job(database, [[0.5]] * 2, images=[{"client_metadata": {"long": "x" * 16_000}}] * 2)
    with database.begin() as connection:
        connection.execute(
            text("""
                insert into images (job_id, position, name, client_metadata, stage, state, reason)
                select :job, n, n || '.jpg', client_metadata, 'detection', 'skipped', 'no_face'
                from images, generate_series(2, 2499) as n where job_id = :job and position = 0
            """),
            {"job": job},
        )
    return job


@pytest.fixture
def server(settings: Settings) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The API as a process; its address, and the process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    named = {
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "BROKER_URL": settings.broker_url.get_secret_value(),
        "STORAGE_URL": settings.storage_url,
        "API_PORT": str(port),
    }
    environment = {**os.environ, **{f"FACEMEM_{name}": value for name, value in named.items()}}
    process = subprocess.Popen([sys.executable, "-m", "services.api"], env=environment, start_new_session=True)
    url, deadline = f"http://127.0.0.1:{port}", monotonic() + 60
    while not answers(url):
        assert monotonic() < deadline
        sleep(0.1)
    yield url, process
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/v1/models").status_code == 200
    except httpx.HTTPError:
        return False


def begin(url: str, job: UUID) -> socket.socket:
    """A client that asks for an export and reads no more than how its answer begins."""
    client = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=30)
    client.sendall(f"GET /v1/jobs/{job}/export HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    assert client.recv(12) == b"HTTP/1.1 200"
    return client


def test_who_goes_away_frees_a_place(server: tuple[str, subprocess.Popen[bytes]], job: UUID) -> None:
    address = f"{server[0]}/v1/jobs/{job}/export"
    for _ in range(2):
        clients = [begin(server[0], job) for _ in range(MOST_AT_ONCE)]
        assert httpx.get(address).status_code == 503
        for client in clients:
            client.close()
        deadline = monotonic() + 30
        while (last := httpx.get(address, timeout=30)).status_code == 503:
            assert monotonic() < deadline
            sleep(0.2)
        assert last.text.count("\n") == 2500


def test_a_server_that_dies_cuts_the_file_visibly(server: tuple[str, subprocess.Popen[bytes]], job: UUID) -> None:
    with httpx.stream("GET", f"{server[0]}/v1/jobs/{job}/export", timeout=30) as answer:
        chunks = answer.iter_raw()
        next(chunks)
        os.killpg(server[1].pid, signal.SIGKILL)
        with pytest.raises(httpx.HTTPError):
            list(chunks)
