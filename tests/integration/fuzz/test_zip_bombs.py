"""Zip bombs of every kind, submitted to the API as it is served: refused with a reason or kept for what they are.

Nothing is unpacked without bound, nothing is written but objects of accepted jobs, and nothing stays behind.
"""

import json
import sys
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from time import monotonic

import httpx
import psutil
import pytest
from sqlalchemy import text

from services.local.redis import free_port
from services.local.supervisor import Process, Supervisor
from shared.pipeline.connections import Connections
from shared.settings import Settings
from tests.integration.fuzz.conftest import START_SECONDS, answers
from tests.zip_bombs import BOMBS, LIMITS, MIB, Bomb

# Beyond what the process has when it is warm. The largest bomb would unpack to 192 MiB, were it unpacked.
MOST_GROWTH = 64 * MIB
MOST_SECONDS = 60.0  # for one bomb, on a machine that is busy; most take less than one


@dataclass
class Served:
    """A running API, where it puts temporary files, and its log."""

    url: str
    temporary: Path
    log: Path
    pid: int

    def memory(self) -> int:
        """The most bytes that any of its processes ever had in memory."""
        there = psutil.Process(self.pid)
        return max(_peak(process.pid) for process in [there, *there.children(recursive=True)])

    def submit(self, content: bytes) -> httpx.Response:
        headers = {"Content-Type": "application/zip"}
        return httpx.post(
            f"{self.url}/v1/jobs", content=content, headers=headers, timeout=MOST_SECONDS, trust_env=False
        )


def _peak(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


@pytest.fixture
def served(settings: Settings, connections: Connections, tmp_path: Path) -> Iterator[Served]:
    port, log, temporary = free_port("127.0.0.1"), tmp_path / "api.log", tmp_path / "temporary"
    temporary.mkdir()
    environment = {
        "FACEMEM_DATABASE_URL": settings.database_url.get_secret_value(),
        "FACEMEM_BROKER_URL": settings.broker_url.get_secret_value(),
        "FACEMEM_STORAGE_URL": settings.storage_url,
        "FACEMEM_API_PORT": str(port),
        "TMPDIR": str(temporary),
        **LIMITS,
    }
    with Supervisor() as supervisor:
        supervisor.start(Process("api", [sys.executable, "-m", "services.api"], log, environment))
        supervisor.await_ready("api", lambda: answers(f"http://127.0.0.1:{port}/healthz"), START_SECONDS)
        yield Served(f"http://127.0.0.1:{port}", temporary, log, supervisor.pids()["api"])


def wrong(bomb: Bomb, answer: httpx.Response, connections: Connections) -> str | None:
    """What is not as it should be about an answer, and about what was kept."""
    said = answer.json()
    if answer.status_code != bomb.status:
        return f"answered {answer.status_code}: {answer.text[:300]}"
    if bomb.said is not None:
        told = (said["code"], said.get("limit"))
        return None if told == bomb.said and len(said["detail"]) > 30 else f"said {json.dumps(said)[:300]}"
    with connections.database.connect() as connection:
        query = text("select name, reason, original_key from images where job_id = :job order by position")
        kept = connection.execute(query, {"job": said["id"]}).all()
    if [(image.name, image.reason) for image in kept] != bomb.images:
        return f"kept {[(image.name[:40], image.reason) for image in kept]}"
    keys = [image.original_key for image in kept if image.reason is None]
    if sorted(keys) != sorted(connections.objects.keys(f"jobs/{said['id']}/")):
        return "stored something else than its images"
    return None


@pytest.mark.timeout(600)
def test_each_kind_of_bomb_has_its_answer_and_leaves_nothing_behind(served: Served, connections: Connections) -> None:
    assert len({bomb.kind for bomb in BOMBS}) == len(BOMBS) >= 14
    bodies = {bomb.kind: bomb.make() for bomb in BOMBS}
    gentle = next(bomb for bomb in BOMBS if bomb.kind == "one name for all")
    assert served.submit(bodies[gentle.kind]).status_code == 202
    found: dict[str, list[str]] = defaultdict(list)
    accepted = 1
    before = served.memory()
    for bomb in BOMBS:
        began = monotonic()
        answer = served.submit(bodies[bomb.kind])
        accepted += answer.status_code == 202
        if problem := wrong(bomb, answer, connections):
            found[bomb.kind].append(problem)
        if (grown := served.memory() - before) > MOST_GROWTH:
            found[bomb.kind].append(f"took it to {grown // MIB} MiB more")
        if (seconds := monotonic() - began) > MOST_SECONDS:
            found[bomb.kind].append(f"took {seconds:.0f} seconds")
    assert not found, "\n".join(f"{kind}: {'; '.join(what)}" for kind, what in found.items())
    with connections.database.connect() as connection:
        jobs = {str(job) for job in connection.execute(text("select id from jobs")).scalars()}
    assert len(jobs) == accepted
    assert {key.split("/")[1] for key in connections.objects.keys("")} <= jobs
    assert list(served.temporary.iterdir()) == []
    climbed = [*served.log.parent.rglob("*climbed*"), *Path("/tmp").glob("*climbed*"), *Path.cwd().glob("*climbed*")]
    assert climbed == []
    assert "request_broke" not in served.log.read_text()


@pytest.mark.parametrize(("kind", "times"), [("flat", 900), ("bzip2, a million times smaller", 100_000)])
def test_they_are_bombs(kind: str, times: int) -> None:
    """What a program that believes in archives would unpack, against what it was sent."""
    content = next(bomb for bomb in BOMBS if bomb.kind == kind).make()
    with zipfile.ZipFile(BytesIO(content)) as archive:
        assert sum(member.file_size for member in archive.infolist()) > times * len(content)


def test_members_that_quote_each_other_can_each_be_read_by_the_directory() -> None:
    content = next(bomb for bomb in BOMBS if bomb.kind == "members that quote each other").make()
    with zipfile.ZipFile(BytesIO(content)) as archive:
        assert len(archive.infolist()) == 30
        assert sum(member.file_size for member in archive.infolist()) > 30 * 20_000 > 100 * len(content)
