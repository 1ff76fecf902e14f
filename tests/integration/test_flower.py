import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.flower.serve import is_loopback
from services.local.redis import free_port

FLOWER = [sys.executable, "-m", "services.flower"]


def ask(url: str, credentials: str | None = None, method: str = "GET") -> tuple[int, str]:
    headers = {} if credentials is None else {"Authorization": f"Basic {b64encode(credentials.encode()).decode()}"}
    request = urllib.request.Request(url, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, ""


@contextmanager
def flower(broker_url: str, here: Path, **environment: str) -> Iterator[str]:
    port = free_port("127.0.0.1")
    settings = {
        "FACEMEM_DATABASE_URL": "postgresql+psycopg://nobody@nowhere/none",
        "FACEMEM_BROKER_URL": broker_url,
        "FACEMEM_STORAGE_URL": "folder:/none",
        "FACEMEM_FLOWER_PORT": str(port),
        **environment,
    }
    with subprocess.Popen(FLOWER, env={**os.environ, **settings}, cwd=here) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            while True:
                try:
                    assert ask(f"{url}/healthcheck") == (200, "OK")
                    break
                except urllib.error.URLError:
                    assert process.poll() is None
                    time.sleep(0.1)
            yield url
        finally:
            process.terminate()
    assert process.returncode == 0


def test_it_shows_queues_and_changes_nothing(broker_url: str, tmp_path: Path) -> None:
    (tmp_path / "flowerconfig.py").write_text("raise SystemExit('executed')")
    with flower(broker_url, tmp_path, FLOWER_PORT="1") as url:
        assert ask(f"{url}/workers")[0] == 200
        status, broker_page = ask(f"{url}/broker")
        assert status == 200
        assert "captioning" in broker_page
        assert broker_url.split("@", 1)[0].removeprefix("redis://:") not in broker_page

    assert [path.name for path in tmp_path.iterdir()] == ["flowerconfig.py"]  # no state is kept


def test_with_a_password_nobody_else_gets_in_and_still_nothing_can_be_changed(broker_url: str, tmp_path: Path) -> None:
    with flower(broker_url, tmp_path, FACEMEM_FLOWER_HOST="0.0.0.0", FACEMEM_FLOWER_PASSWORD="p:ss word") as url:
        for page in ("/", "/workers", "/tasks", "/broker", "/api/workers", "/api/queues/length"):
            assert ask(f"{url}{page}")[0] == 401, page
            assert ask(f"{url}{page}", "flower:wrong")[0] == 401, page
            assert ask(f"{url}{page}", "flower:p:ss word")[0] == 200, page
        for order in ("worker/shutdown/detection-1@here", "task/send-task/detection.find_faces", "task/revoke/1"):
            assert ask(f"{url}/api/{order}", "flower:p:ss word", "POST")[0] == 403, order


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "", "flower.example"])
def test_it_does_not_start_off_loopback_without_a_password(host: str) -> None:
    settings = {
        "FACEMEM_DATABASE_URL": "postgresql+psycopg://nobody@nowhere/none",
        "FACEMEM_BROKER_URL": "redis://127.0.0.1:1/0",
        "FACEMEM_STORAGE_URL": "folder:/none",
        "FACEMEM_FLOWER_HOST": host,
        "FACEMEM_FLOWER_PASSWORD": "",
    }
    refused = subprocess.run(
        FLOWER, env={**os.environ, **settings}, capture_output=True, text=True, check=False, timeout=60
    )

    assert refused.returncode == 1
    assert "Set FACEMEM_FLOWER_PASSWORD" in refused.stderr


def test_what_is_loopback() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "127.1.2.3", "::1", "localhost"]))
    assert not any(map(is_loopback, ["", "0.0.0.0", "::", "192.168.0.1", "localhost.example", "127.1"]))
