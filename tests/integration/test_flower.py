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

from flower.urls import handlers as pages_of_flower
from playwright.sync_api import HttpCredentials

from services.flower.headers import POLICY
from services.local.redis import free_port
from tests.browser import browser_page, complaints

FLOWER = [sys.executable, "-m", "services.flower"]
PASSWORD = "p:ss word"
LOGIN = f"flower:{PASSWORD}"
# What is sent to Flower by POST and changes nothing: a search in its table of tasks, and a page that is not there.
HARMLESS = {"TasksDataTable", "NotFoundErrorHandler"}


def ask(url: str, credentials: str | None = None, method: str = "GET") -> tuple[int, str]:
    headers = {} if credentials is None else {"Authorization": f"Basic {b64encode(credentials.encode()).decode()}"}
    request = urllib.request.Request(url, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


@contextmanager
def flower(broker_url: str, here: Path, **environment: str) -> Iterator[str]:
    port = free_port("127.0.0.1")
    settings = {
        "FACEMEM_DATABASE_URL": "postgresql+psycopg://nobody@nowhere/none",
        "FACEMEM_BROKER_URL": broker_url,
        "FACEMEM_STORAGE_URL": "folder:/none",
        "FACEMEM_FLOWER_PORT": str(port),
        "FACEMEM_FLOWER_PASSWORD": PASSWORD,
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


def orders() -> list[str]:
    """The addresses of all that Flower could be told to do, with something in the place of each blank."""
    told = [
        (page[0], page[1]) if isinstance(page, tuple) else (page.regex.pattern, page.handler_class)
        for page in pages_of_flower
    ]
    taking = [(path, view) for path, view in told if "post" in vars(view) and view.__name__ not in HARMLESS]
    return [path.rstrip("$").replace("(.+)", "detection.find_faces") for path, _ in taking]


def test_it_shows_queues_and_keeps_nothing(broker_url: str, tmp_path: Path) -> None:
    (tmp_path / "flowerconfig.py").write_text("raise SystemExit('executed')")
    with flower(broker_url, tmp_path, FLOWER_PORT="1") as url:
        assert ask(f"{url}/workers", LOGIN)[0] == 200
        status, broker_page = ask(f"{url}/broker", LOGIN)
        assert status == 200
        assert "captioning" in broker_page
        assert broker_url.split("@", 1)[0].removeprefix("redis://:") not in broker_page

    assert [path.name for path in tmp_path.iterdir()] == ["flowerconfig.py"]


def test_nobody_gets_in_without_the_password_whatever_the_environment_says(broker_url: str, tmp_path: Path) -> None:
    with flower(broker_url, tmp_path, FACEMEM_FLOWER_HOST="0.0.0.0", FLOWER_UNAUTHENTICATED_API="true") as url:
        for page in ("/", "/workers", "/tasks", "/broker", "/api/workers", "/api/queues/length"):
            assert ask(f"{url}{page}")[0] == 401, page
            assert ask(f"{url}{page}", "flower:wrong")[0] == 401, page
            assert ask(f"{url}{page}", LOGIN)[0] == 200, page


def test_it_is_told_nothing_and_says_so(broker_url: str, tmp_path: Path) -> None:
    assert len(orders()) >= 14
    with flower(broker_url, tmp_path) as url:
        for order in orders():
            assert ask(f"{url}{order}", LOGIN, "POST") == (403, "Read only mode is enabled"), order


def test_its_pages_load_and_run_nothing_from_elsewhere(broker_url: str, tmp_path: Path) -> None:
    login: HttpCredentials = {"username": "flower", "password": PASSWORD}
    with flower(broker_url, tmp_path) as url, browser_page(http_credentials=login) as page:
        wrong = complaints(page)
        for path in ("/workers", "/tasks", "/broker"):
            answer = page.goto(f"{url}{path}")
            assert answer is not None
            assert answer.header_value("content-security-policy") == POLICY
            assert answer.header_value("x-content-type-options") == "nosniff"
            page.wait_for_load_state("networkidle")
        assert page.goto(f"{url}/workers")
        assert page.evaluate("autorefresh") == 1, "Flower's own script runs"
        assert wrong == []


def test_it_does_not_start_without_a_password() -> None:
    settings = {
        "FACEMEM_DATABASE_URL": "postgresql+psycopg://nobody@nowhere/none",
        "FACEMEM_BROKER_URL": "redis://127.0.0.1:1/0",
        "FACEMEM_STORAGE_URL": "folder:/none",
        "FACEMEM_FLOWER_PASSWORD": "",
    }
    refused = subprocess.run(
        FLOWER, env={**os.environ, **settings}, capture_output=True, text=True, check=False, timeout=60
    )

    assert refused.returncode == 1
    assert "Set FACEMEM_FLOWER_PASSWORD" in refused.stderr
