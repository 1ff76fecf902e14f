"""Two bundles side by side, and a job scored again, with one worker of each kind as a process."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

from services.client import Facemem
from shared.memorability.catalogue import find
from tests.bundles import flip_a_byte, retuned
from tests.integration.conftest import counters_are_exact
from tests.photographs import faceless, portraits
from tests.system.conftest import Running, Start, wait_until

COMMAND = Path(sys.executable).with_name("facemem")
SOON = {"unavailable_delay_seconds": "0.5"}


def photo_set(folder: Path) -> list[Path]:
    folder.mkdir()
    for name, content in [*portraits(3), ("coffee.png", faceless()), ("notes.jpg", b"These are notes.")]:
        (folder / name).write_bytes(content)
    return sorted(folder.iterdir())


def ended(client: Facemem, job: UUID) -> None:
    *_, last = client.watch(job)
    assert last.state == "completed"
    assert {state: number for state, number in last.counts.items() if number} == {
        "succeeded": 3,
        "skipped": 1,
        "failed": 1,
    }


def lines_of(running: Running, stage: str, event: str) -> list[str]:
    lines = (running.system.folder.logs / f"{stage}-1.log").read_text().splitlines()
    return [line for line in lines if event in line]


def batches_done(running: Running, stage: str) -> int:
    return len(lines_of(running, stage, "batch_done"))


def refused_because(running: Running, job: UUID, why: str) -> bool:
    """Whether every image that waits does so because a worker could not load the bundle, and said why."""
    query = """
        select count(*) = 3 from images where job_id = :job and state in ('ready', 'dispatched', 'running')
        and reason = 'bundle_unavailable' and detail like :why
    """
    return bool(running.scalar(query, job=job, why=f"%{why}%"))


def test_a_job_is_scored_again_without_detecting_or_describing_again(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "bundles"
    folder.mkdir()
    compact = find("compact").digest
    with start(bundles_folder=str(folder), **SOON) as running:
        client = running.client
        first = client.submit(photo_set(tmp_path / "photos"), captioner="describer").id
        ended(client, first)
        before = [image.model_dump() for image in client.results(first)]
        wait_until(lambda: running.scalar("select tidied_at is not null from jobs") is True)
        stored = sorted(running.stored())
        done = {stage: batches_done(running, stage) for stage in ("intake", "detection", "captioning")}

        mine = retuned(folder / "mine", "mine", constant=1.0).digest  # put there while everything runs
        second = client.rescore(first, "mine").id
        ended(client, second)

        assert {stage: batches_done(running, stage) for stage in done} == done
        wait_until(lambda: running.scalar("select count(*) from jobs where tidied_at is null") == 0)
        assert sorted(running.stored()) == stored, "no pixels were copied, and none were lost"
        assert [image.model_dump() for image in client.results(first)] == before, "the first job is as it was"
        with running.database.connect() as connection:
            assert counters_are_exact(connection)
        compare(client, first, second, compact, mine)


def compare(client: Facemem, first: UUID, second: UUID, compact: str, mine: str) -> None:
    """Image by image: the same, but for the scores, which differ by just what the bundles differ by."""
    for old, new in zip(client.results(first), client.results(second), strict=True):
        assert (old.image, old.state, old.reason, old.width) == (new.image, new.state, new.reason, new.width)
        for was, became in zip(old.faces, new.faces, strict=True):
            assert (was.caption, was.box, was.landmarks) == (became.caption, became.box, became.landmarks)
            assert (was.bundle.digest, became.bundle.digest) == (compact, mine)
            assert became.score > was.score
            assert became.explanation.logit == pytest.approx(was.explanation.logit + 1, abs=1e-3)
            assert client.crop(was) == client.crop(became)
            assert client.heatmap(became)
            why = client.explanation(became)
            assert why.constant + sum(map(sum, why.contributions)) == pytest.approx(why.logit, abs=1e-4)


def test_a_bundle_that_workers_lack_or_have_damaged_is_waited_for(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "bundles"
    folder.mkdir()
    mine = retuned(folder / "mine", "mine")
    weights = mine.path / "weights.safetensors"
    with start(bundles_folder=str(folder), max_attempts="1", **SOON) as running:
        client = running.client
        for worker in running.workers("embedding"):
            worker.suspend()
        job = client.submit(photo_set(tmp_path / "photos"), captioner="describer", bundle="mine").id
        flip_a_byte(weights)
        for worker in running.workers("embedding"):
            worker.resume()
        wait_until(lambda: refused_because(running, job, "damaged"), seconds=90)
        told = lines_of(running, "embedding", "bundle_not_loaded")
        assert told, "the log says why"
        assert all(str(job) in line for line in told), "nobody finds the line by its job"
        shutil.move(mine.path, tmp_path / "away")
        wait_until(lambda: refused_because(running, job, "has no bundle"))
        assert running.scalar("select count(*) from attempts where reason = 'bundle_unavailable'") == 0
        shutil.move(tmp_path / "away", mine.path)
        flip_a_byte(weights)
        ended(client, job)
        scored_with = {face.bundle.digest for image in client.results(job) for face in image.faces}
        assert scored_with == {mine.digest}


def facemem(home: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "FACEMEM_HOME": str(home), "FACEMEM_API_PORT": "0", "FACEMEM_FLOWER_PORT": "0"}
    ended = subprocess.run(
        [COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False, env=environment
    )
    assert ended.returncode == 0, ended.stderr
    return ended


def test_the_commands_on_one_machine_where_nothing_runs(tmp_path: Path) -> None:
    """A bundle is put to use, a set is scored with it, and scored again with the one that was there before."""
    home, mine = tmp_path / "home", retuned(tmp_path / "mine", "mine", constant=1.0)
    portrait = tmp_path / "portrait.jpg"
    portrait.write_bytes(portraits(1)[0][1])
    assert "facemem models use --shipped" in facemem(home, "models", "use", mine.path, "--digest", mine.digest).stdout
    shutil.rmtree(mine.path)

    scored = facemem(home, "score", portrait, "--captioner", "describer", "--json")
    first = json.loads(scored.stdout)
    assert first["bundle"] == {"name": "mine", "digest": mine.digest}
    job = re.search(r"as job ([0-9a-f-]{36})", scored.stderr)[1]

    again = facemem(home, "rescore", job, "--bundle", "compact", "--json")
    second = json.loads(again.stdout)
    assert second["bundle"]["digest"] == find("compact").digest
    assert second["score"] < first["score"]
    assert (second["caption"], second["box"]) == (first["caption"], first["box"])
    assert "again with bundle compact" in again.stderr

    told = json.loads(facemem(home, "insights", job, "--json", "--picture", tmp_path / "new" / "words.png").stdout)
    assert (told["faces"]["used"], told["bundle"]["digest"]) == (1, mine.digest)
    assert (tmp_path / "new" / "words.png").read_bytes().startswith(b"\x89PNG")
