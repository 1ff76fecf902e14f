"""The API as it is served, and two tenants that have something in it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from services.local.redis import free_port
from services.local.supervisor import Process, Supervisor
from shared.pipeline.connections import Connections
from shared.settings import Settings
from tests.integration.planted import Planted, plant

START_SECONDS = 60


@pytest.fixture
def tenants(connections: Connections) -> tuple[Planted, Planted]:
    with connections.database.begin() as connection:
        anna, bert = (plant(connection, connections.objects, name) for name in ("anna", "bert"))
    return anna, bert


@pytest.fixture
def served(settings: Settings, connections: Connections, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The address of a real server of the API that asks for keys, and its log."""
    port, log = free_port("127.0.0.1"), tmp_path / "api.log"
    environment = {
        "FACEMEM_DATABASE_URL": settings.database_url.get_secret_value(),
        "FACEMEM_BROKER_URL": settings.broker_url.get_secret_value(),
        "FACEMEM_STORAGE_URL": settings.storage_url,
        "FACEMEM_API_PORT": str(port),
        "FACEMEM_KEYS": "required",
        "FACEMEM_REQUESTS_PER_MINUTE": "10000000",
        "FACEMEM_SUBMISSIONS_PER_MINUTE": "10000000",
    }
    with Supervisor() as supervisor:
        supervisor.start(Process("api", [sys.executable, "-m", "services.api"], log, environment))
        supervisor.await_ready("api", lambda: answers(f"http://127.0.0.1:{port}/healthz"), START_SECONDS)
        yield f"http://127.0.0.1:{port}", log


def answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
