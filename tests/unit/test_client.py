"""The client against the real API, and against servers that are something else."""

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import uuid4

import pytest
from psutil import Process

from services.api.schemas import FaceResult, JobStatus, Link
from services.client import ApiError, Facemem, Unreachable
from services.client.errors import FileUnreadable
from services.client.uploads import LazyFile
from shared.jobs.states import ImageState, JobState


@pytest.fixture
def facemem(api_url: str) -> Iterator[Facemem]:
    with Facemem(api_url) as client:
        yield client


def files(folder: Path, number: int, size: int = 10) -> list[Path]:
    paths = [folder / f"{index:04}.jpg" for index in range(number)]
    for path in paths:
        path.write_bytes(os.urandom(size))
    return paths


def test_a_job_says_what_it_was_given(facemem: Facemem, tmp_path: Path) -> None:
    paths = files(tmp_path, 2)
    job = facemem.submit(paths, name="grün", metadata={"order": 7}, captioner="describer", relative_to=tmp_path)
    assert (job.name, job.metadata, job.captioner, job.images) == ("grün", {"order": 7}, "describer", 2)
    assert facemem.job(job.id).id == job.id
    assert [image.image for image in facemem.results(job.id)] == ["0000.jpg", "0001.jpg"]


def test_images_are_named_by_their_paths(facemem: Facemem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    monkeypatch.chdir(tmp_path)
    names = ["a/Zoë one.jpg", "a/100%.jpg", "a/=1+1;.jpg"]
    for name in names:
        Path(name).write_bytes(b"-")
    job = facemem.submit([Path(name) for name in names])
    assert [image.image for image in facemem.results(job.id)] == names


def test_a_name_that_is_not_unicode_is_sent_as_far_as_it_goes(facemem: Facemem, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg"))
    path.write_bytes(b"-")
    [image] = facemem.results(facemem.submit([path], relative_to=tmp_path).id)
    assert image.image == "caf?.jpg"


def test_results_come_from_all_pages_in_order(facemem: Facemem, tmp_path: Path) -> None:
    paths = files(tmp_path, 250)
    job = facemem.submit(paths, relative_to=tmp_path)
    assert [image.image for image in facemem.results(job.id)] == [path.name for path in paths]


def test_uploads_are_told_and_hold_one_file_open_at_a_time(facemem: Facemem, tmp_path: Path) -> None:
    paths = files(tmp_path, 100, size=100_000)
    told: list[int] = []
    most_open = 0

    def on_upload(sent: int) -> None:
        nonlocal most_open
        told.append(sent)
        opened = [file.path for file in Process().open_files()]
        most_open = max(most_open, sum(path.startswith(str(tmp_path)) and path.endswith(".jpg") for path in opened))

    facemem.submit(paths, on_upload=on_upload)
    assert sum(told) == 100 * 100_000
    assert most_open <= 1


def test_a_lazy_file_reads_what_the_file_holds(tmp_path: Path) -> None:
    [path] = files(tmp_path, 1, size=1000)
    lazy = LazyFile(path)
    assert (lazy.seek(0, os.SEEK_END), lazy.tell()) == (1000, 1000)
    assert lazy.read() == b""
    assert lazy.seek(990) == 990
    assert lazy.read(100) == path.read_bytes()[990:]
    assert lazy.seek(0) == 0
    assert lazy.read(5) + lazy.read() == path.read_bytes()


def test_a_file_that_cannot_be_sent_is_named(facemem: Facemem, tmp_path: Path) -> None:
    [path] = files(tmp_path, 1, size=200_000)
    with pytest.raises(FileUnreadable, match=r"absent\.jpg"):
        facemem.submit([tmp_path / "absent.jpg"])
    lazy = LazyFile(path)
    path.write_bytes(b"short")
    assert lazy.read(100) == b"short"
    with pytest.raises(FileUnreadable, match="shorter"):
        lazy.read(100)


def test_watching_ends_with_the_job(facemem: Facemem, tmp_path: Path) -> None:
    job = facemem.submit(files(tmp_path, 3))
    seen = []
    for status in facemem.watch(job.id, seconds=0.01):
        seen.append(status.state)
        if len(seen) == 3:
            facemem.cancel(job.id)
    assert seen[:3] == [JobState.RUNNING] * 3
    assert seen[-1] == JobState.CANCELLED
    assert {image.state for image in facemem.results(job.id)} == {ImageState.CANCELLED}


class Faltering(Facemem):
    """Nobody answers the first three times."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.errors = [Unreachable(), ApiError("temporarily_unavailable", "Try again.", 503), Unreachable()]

    def job(self, job_id: object) -> JobStatus:
        if self.errors:
            raise self.errors.pop()
        return super().job(job_id)


def test_watching_outlasts_a_restart_but_not_a_refusal(facemem: Facemem, tmp_path: Path) -> None:
    job = facemem.submit(files(tmp_path, 1))
    facemem.cancel(job.id)
    with Faltering(facemem.url) as faltering:
        assert [status.state for status in faltering.watch(job.id, seconds=0.01)] == ["cancelled"]
    with pytest.raises(ApiError):
        list(facemem.watch(uuid4()))


def test_links_are_submitted_as_they_are(facemem: Facemem) -> None:
    links = ["https://example.org/a.jpg", Link(url="https://example.org/b.jpg", name="b", metadata={"n": 1})]
    job = facemem.submit_links(links, name="links")
    first, second = facemem.results(job.id)
    assert (first.image, second.image, second.metadata) == ("https://example.org/a.jpg", "b", {"n": 1})


def test_models_have_their_cards(facemem: Facemem) -> None:
    [active] = [model for model in facemem.models() if model.active]
    assert active.name == "compact"
    assert active.card["limits"]


def test_a_problem_is_an_error_with_its_code(facemem: Facemem, tmp_path: Path) -> None:
    with pytest.raises(ApiError) as unknown:
        facemem.job(uuid4())
    assert (unknown.value.code, unknown.value.status) == ("not_found", 404)
    assert "no job" in unknown.value.detail
    with pytest.raises(ApiError) as too_many:
        facemem.submit(files(tmp_path, 301))
    assert (too_many.value.code, too_many.value.status) == ("limit_exceeded", 413)
    face = FaceResult.model_construct(id=1)
    for ask in (facemem.crop, facemem.heatmap, facemem.explanation):
        with pytest.raises(ApiError, match="no face 1"):
            ask(face)


def test_nobody_answers() -> None:
    with Facemem("http://127.0.0.1:9") as client, pytest.raises(Unreachable, match=r"127\.0\.0\.1:9 does not answer"):
        client.models()
    with Facemem("example") as client, pytest.raises(Unreachable, match="protocol"):
        client.models()
    assert "facemem up" in Unreachable.advice()


class Somebody(BaseHTTPRequestHandler):
    """A server that is not facemem."""

    def do_GET(self) -> None:
        self.send_response(502 if self.path == "/v1/models" else 200)
        self.end_headers()
        self.wfile.write(b"<html>Welcome</html>")

    def log_message(self, *arguments: object) -> None: ...


def test_somebody_else_answers() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Somebody)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with Facemem(f"http://127.0.0.1:{server.server_port}") as client:
        with pytest.raises(ApiError) as page:
            client.job(uuid4())
        assert page.value.code == "not_facemem"
        with pytest.raises(ApiError) as gateway:
            client.models()
        assert (gateway.value.code, gateway.value.status) == ("bad_gateway", 502)
    server.shutdown()
    server.server_close()
