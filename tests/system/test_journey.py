"""The main job through HTTP, on real Postgres, Redis and S3, with one worker of each kind as a process."""

import json
import re
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from services.api.schemas import ImageResult
from services.cli.doctor.check import tried
from services.cli.doctor.checks import checks
from services.cli.main import cli
from services.client import Facemem
from shared.jobs.states import Stage
from shared.settings import LocalSettings
from tests.photographs import ASTRONAUT, faceless, jpeg, portraits
from tests.system.conftest import Running, Start, wait_until

# What the doctor looks into where something runs.
LIVE = frozenset(
    {"API keys", "Flower", "storage", "tables", "connections", "clock", "versions", "queues", "webhooks"}
    | {"Redis memory", "Redis log", "workers", "running system"}
)
GPS = b"GPSLatitudeSecretMarker"


def with_metadata(content: bytes) -> bytes:
    """A photograph turned on its side, with an EXIF orientation that puts it upright and a marker to look for."""
    image = Image.open(BytesIO(content)).convert("RGB").rotate(90, expand=True)
    exif = image.getexif()
    exif[0x0112] = 6
    exif[0x010E] = GPS.decode()
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=95, exif=exif)
    return buffer.getvalue()


def group() -> bytes:
    """Two people in one photograph."""
    left, right = (Image.open(BytesIO(content)).convert("RGB").resize((400, 400)) for _, content in portraits(2))
    both = Image.new("RGB", (800, 400))
    both.paste(left, (0, 0))
    both.paste(right, (400, 0))
    return jpeg(both)


def photo_set(folder: Path) -> list[Path]:
    """One image of each kind."""
    whole = portraits(1)[0][1]
    files = {
        "portrait.jpg": whole,
        "turned.jpg": with_metadata(ASTRONAUT.read_bytes()),
        "group.jpg": group(),
        "coffee.png": faceless(),
        "broken.jpg": whole[: len(whole) // 3],
        "notes.jpg": b"These are notes, not an image.",
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in files]


def test_a_set_of_photographs_becomes_scores_and_reasons(start: Start, tmp_path: Path) -> None:
    with start() as running:
        client = running.client
        job = client.submit(photo_set(tmp_path), name="journey", metadata={"order": 7}).id
        seen = list(client.watch(job))
        assert seen[-1].state == "completed"
        assert seen[-1].progress == 1
        assert [status.progress for status in seen] == sorted(status.progress for status in seen)
        assert (seen[-1].name, seen[-1].metadata) == ("journey", {"order": 7})

        portrait, turned, several, coffee, broken, notes = client.results(job)
        assert [len(image.faces) for image in (portrait, turned, several)] == [1, 1, 2]
        assert (coffee.state, coffee.reason) == ("skipped", "no_face")
        assert (broken.state, broken.reason) == ("failed", "broken_image")
        assert (notes.state, notes.reason) == ("failed", "not_an_image")
        assert (turned.width, turned.height) == (512, 512)

        for image in (portrait, turned, several):
            for face in image.faces:
                check_face(client, face)
        check_pictures(client, running, turned)
        check_nothing_is_left(running)
        check_the_way_can_be_read(running, portrait, broken)
        check_the_doctor_finds_nothing(running)


def check_face(client: Facemem, face) -> None:
    assert 0 < face.score < 1
    assert 0 < face.uncertainty < 0.5
    assert 0 <= face.percentile <= 100
    assert face.captioner["name"] == "describer"
    assert len(face.caption.split()) > 10
    assert face.bundle.name == "compact"
    spoken = re.findall(r"\w+", face.caption)
    assert all(face.caption[word.start : word.end] == word.text for word in face.words)
    assert {word.text for word in face.words} >= set(spoken[:3])
    why = client.explanation(face)
    total = why.constant + float(np.sum(why.contributions))
    assert total == pytest.approx(why.logit, abs=1e-4)
    assert 1 / (1 + np.exp(-why.logit)) == pytest.approx(face.score, abs=1e-4)
    assert np.sum(why.attention, axis=1) == pytest.approx(1, abs=1e-3)
    assert sum(word.contribution for word in face.words) == pytest.approx(np.sum(why.contributions), abs=1e-4)


def check_pictures(client: Facemem, running: Running, image) -> None:
    """People can see what was scored, and nothing of the camera's notes is in it."""
    [face] = image.faces
    for content, size, form in (
        (client.photo(image), (512, 512), "JPEG"),
        (client.crop(face), (224, 224), "JPEG"),
        (client.heatmap(face), (224, 224), "PNG"),
    ):
        picture = Image.open(BytesIO(content))
        assert (picture.size, picture.format) == (size, form)
        assert not picture.getexif()
        assert GPS not in content
    left, top, right, bottom = face.box
    assert 150 < (left + right) / 2 < 300, "the astronaut's face is left of the middle, above it"
    assert 50 < (top + bottom) / 2 < 200


def check_nothing_is_left(running: Running) -> None:
    """After the job storage holds what people are shown and the files that could not be read; queues are empty."""
    wait_until(lambda: running.scalar("select count(*) from jobs where tidied_at is null") == 0)
    kinds = sorted(key.split("/")[2] for key in running.stored())
    assert kinds == ["crops"] * 4 + ["originals"] * 2 + ["photos"] * 4
    assert not any(GPS in running.content(key) for key in running.stored())
    wait_until(lambda: running.messages() == 0)


def check_the_way_can_be_read(running: Running, portrait: ImageResult, broken: ImageResult) -> None:
    """One command finds what every process did with an image, and no other image's lines."""

    def followed(image: ImageResult) -> list[tuple[str, str, str | None]]:
        asked = ["trace", str(image.id), "--home", str(running.system.folder.home), "--json"]
        result = CliRunner().invoke(cli, asked, catch_exceptions=False)
        lines = json.loads(result.stdout)["log"]
        assert all(line.get("image", image.id) == image.id for line in lines)
        return [(line["process"].partition("@")[0], line["event"], line.get("stage")) for line in lines]

    way = followed(portrait)
    stages = [(f"{stage}-1", stage) for stage in list(Stage)[1:]]
    assert way[0] == ("api", "job_accepted", None)
    assert ("dispatcher", "let_in", "detection") in way
    # An image goes on while the rest of its batch is worked on, so the next stage may begin before a batch is done.
    assert [(process, stage) for process, event, stage in way if event == "batch_begun"] == stages
    assert sorted((process, stage) for process, event, stage in way if event == "batch_done") == sorted(stages)
    for process, stage in stages:
        assert way.index((process, "batch_begun", stage)) < way.index((process, "batch_done", stage))
    assert ("scoring-1", "succeeded", "scoring") in way
    assert ("dispatcher", "job_completed", None) in way
    ended = followed(broken)
    assert ("detection-1", "failed", "detection") in ended
    assert "captioning" not in {stage for *_, stage in ended}


def check_the_doctor_finds_nothing(running: Running) -> None:
    """Of a system that is well; Redis of the tests keeps its log, and no Ollama runs here."""
    database = running.database.url.render_as_string(hide_password=False)
    local = LocalSettings(
        home=running.system.folder.home,
        database_url=database,
        broker_url=running.broker_url,
        storage_url=running.bucket.storage_url,
    )
    live = [check for check in checks(local) if check.name in LIVE]
    assert len(live) == len(LIVE)
    outcomes = [tried(check) for check in live]
    assert [outcome for outcome in outcomes if outcome.verdict != "ok"] == []
    assert "1 of detection" in next(outcome.found for outcome in outcomes if outcome.name == "workers")


def test_unreachable_links_are_explained(start: Start) -> None:
    settings = {"max_attempts": "2", "retry_delay_seconds": "0.1"}
    with start(**settings) as running:
        job = running.client.submit_links(["https://127.0.0.1/a.jpg", "ftp://example.org/b.jpg"]).id
        *_, last = running.client.watch(job)
        assert last.counts["failed"] == 2
        for image in running.client.results(job):
            assert image.reason == "fetch_refused"
            assert image.detail
        assert httpx.get(f"{running.url}/readyz").json()["status"] == "ok"
