"""Workers of two versions side by side, as during an upgrade: of this one, and of the one before its last migration.

The older ones come from the repository's history, so this needs a clone with some of it. Their packages are today's.
"""

import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest

from services.local.supervisor import Process, Supervisor
from shared.jobs.states import Stage
from tests.compose import ROOT
from tests.photographs import portraits
from tests.system.conftest import Running, Start
from tests.system.test_killed_workers import IMAGES, assert_nothing_lost_or_doubled
from tests.system.test_two_machines import argv_of, write_environment

OLD, NEW = "old", "new"


def git(*words: str) -> str:
    """What git says of this repository; nothing where there is none, or not so much of it."""
    if not shutil.which("git"):
        return ""
    return subprocess.run(["git", "-C", ROOT, *words], capture_output=True, text=True, check=False).stdout.strip()


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """A folder with the code as it was just before the last migration was added."""
    added = git("log", "-1", "--diff-filter=A", "--format=%H", "--", "migrations/versions")
    if not added or not (commit := git("rev-parse", "--verify", "--quiet", f"{added}^")):
        pytest.skip("Needs git, and a clone whose history reaches back to before the last migration.")
    folder, packed = tmp_path / OLD, tmp_path / "old.tar"
    subprocess.run(["git", "-C", ROOT, "archive", f"--output={packed}", commit], check=True)
    with tarfile.open(packed) as tar:
        tar.extractall(folder, filter="data")
    missing = {each.name for each in (ROOT / "migrations/versions").glob("m*.py")} - {
        each.name for each in (folder / "migrations/versions").glob("m*.py")
    }
    assert missing, "it is older"
    return folder


def written(file: Path, content: bytes) -> Path:
    file.write_bytes(content)
    return file


def scores(running: Running, job: UUID) -> list[float | None]:
    return [face.score for image in running.client.results(job) for face in image.faces]


@pytest.mark.timeout(900)
def test_old_and_new_workers_hand_images_to_each_other(start: Start, older: Path, tmp_path: Path) -> None:
    """Every stage is done once by an old worker and once by a new one; between old and new each time."""
    trees = {OLD: older, NEW: ROOT}
    odd = [stage for number, stage in enumerate(Stage) if number % 2]
    mixes = [{stage: OLD if (stage in odd) is turned else NEW for stage in Stage} for turned in (True, False)]
    photos = portraits(IMAGES)
    with start(workers=dict.fromkeys(map(str, Stage), 0)) as running:
        write_environment(running, tmp_path / "facemem.env")
        found = []
        for number, mix in enumerate(mixes):
            # Behind the end of a JPEG nobody looks; but the same files would have their results taken over.
            files = [written(tmp_path / f"{number}-{name}", content + bytes([number])) for name, content in photos]
            with workers(tmp_path / f"mix-{number}", tmp_path / "facemem.env", mix, trees):
                job = running.client.submit(files).id
                *_, last = running.client.watch(job)
            assert last.state == "completed"
            assert_nothing_lost_or_doubled(running, job)
            assert running.scalar("select count(*) from attempts") == 0
            found.append(scores(running, job))
        assert all(score is not None for score in found[0])
        assert found[0] == found[1], "the same numbers, whoever computed what"


@contextmanager
def workers(folder: Path, variables: Path, mix: Mapping[Stage, str], trees: Mapping[str, Path]) -> Iterator[None]:
    """A worker for each stage, of the version that `mix` says, and a dispatcher of the old one beside the new one."""
    folder.mkdir()
    with Supervisor() as supervisor:
        for stage, version in mix.items():
            argv = [*argv_of(version, variables, folder, trees[version]), f"workers.{stage}", "--name", f"{stage}-1"]
            supervisor.start(Process(str(stage), argv, folder / f"{stage}.log"))
        argv = [*argv_of(OLD, variables, folder, trees[OLD]), "workers.dispatcher"]
        supervisor.start(Process("dispatcher", argv, folder / "dispatcher.log"))
        yield
