"""A real Prometheus that scrapes a running system, to put queries to."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

from services.local.redis import free_port
from services.local.supervisor import Process, Supervisor
from tests.conftest import missing

START_SECONDS = 60.0


@dataclass(frozen=True)
class Prometheus:
    """Where it answers."""

    url: str

    def ask(self, query: str) -> list[Any]:
        """The series that a query finds now. Raises ValueError with what Prometheus says against it."""
        try:
            with urlopen(f"{self.url}/api/v1/query?{urlencode({'query': query})}", timeout=30) as answer:
                return json.load(answer)["data"]["result"]
        except HTTPError as error:
            raise ValueError(f"{query}: {json.load(error)['error']}") from error

    def answers(self) -> bool:
        try:
            with urlopen(f"{self.url}/-/ready", timeout=10) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def checked(kind: str, file: Path) -> str:
    """What Prometheus' own tool says against a file of rules or of its configuration."""
    return _promtool("check", kind, str(file))


def tried(file: Path, tests: list[dict[str, Any]]) -> str:
    """What it says against a file of rules when series are as in these tests. They are of minutes."""
    with TemporaryDirectory() as folder:
        written = Path(folder) / "tests.yml"
        every = [{"interval": "1m", **test} for test in tests]
        written.write_text(json.dumps({"rule_files": [str(file)], "evaluation_interval": "30s", "tests": every}))
        return _promtool("test", "rules", str(written))


def _promtool(*arguments: str) -> str:
    if shutil.which("promtool") is None:
        missing("promtool, of Debian's package prometheus")
    found = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    return "" if found.returncode == 0 else found.stdout + found.stderr


@contextmanager
def prometheus(config: dict[str, Any], folder: Path) -> Iterator[Prometheus]:
    """Runs one with this configuration, and its data in `folder`."""
    if shutil.which("prometheus") is None:
        missing("Debian's package prometheus")
    folder.mkdir()
    (folder / "prometheus.yml").write_text(json.dumps(config))  # which is YAML
    port = free_port("127.0.0.1")
    argv = ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
    server = Prometheus(f"http://127.0.0.1:{port}")
    with Supervisor() as supervisor:
        supervisor.start(Process("prometheus", [*argv, f"--web.listen-address=127.0.0.1:{port}"], folder / "log"))
        supervisor.await_ready("prometheus", server.answers, START_SECONDS)
        yield server
