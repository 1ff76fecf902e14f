"""Damaged images among whole ones in the whole system: no process ends, and each image ends as it should."""

import zlib
from collections import Counter
from itertools import islice
from pathlib import Path

import psutil

from tests.mutations import mutants
from tests.photographs import portraits
from tests.system.conftest import Start
from tests.unit.test_archives import zipped

DAMAGED = 200
WHOLE = 16


def test_no_process_ends_for_what_is_in_an_image(start: Start, tmp_path: Path) -> None:
    damaged, whole = dict(islice(mutants(), DAMAGED)), dict(portraits(WHOLE))
    # Mixed, so that each batch has some of both.
    files = dict(sorted((damaged | whole).items(), key=lambda file: hash_of(file[1])))
    archive = tmp_path / "set.zip"
    archive.write_bytes(zipped(files))
    with start() as running:
        before = running.system.pids()
        job = running.client.submit_archive(archive).id
        *_, last = running.client.watch(job)
        assert last.state == "completed"
        results = {image.image: image for image in running.client.results(job)}
        assert results.keys() == files.keys()
        assert all(results[name].state == "succeeded" and len(results[name].faces) == 1 for name in whole)
        reasons = Counter(results[name].reason for name in damaged)
        assert set(reasons) <= {"no_face", "not_an_image", "broken_image", "too_large"}
        assert all(results[name].detail for name in damaged)
        assert running.system.pids() == before
        [worker] = running.workers("detection")
        [decoder] = worker.children()
        assert "shared.images.decoder" in decoder.cmdline()
        assert running.scalar("select count(*) from attempts where reason = 'worker_lost'") == 0
        worker.kill()
        assert psutil.wait_procs([decoder], timeout=30)[1] == []


def hash_of(content: bytes) -> int:
    """An order that has nothing to do with the names, and is the same each time."""
    return zlib.crc32(content)
