"""The client against the real API, and against servers that are something else."""

import json
import os
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from psutil import Process

from services.api.schemas import FaceResult, Link
from services.client import ApiError, Facemem, Unreachable
from services.client.errors import FileUnreadable, NothingToSend
from services.client.multipart import LazyFile
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


def test_watching_tells_what_changes_and_ends_with_the_job(facemem: Facemem, tmp_path: Path) -> None:
    job = facemem.submit(files(tmp_path, 3))
    seen = []
    for status in facemem.watch(job.id, seconds=0.01):
        seen.append(status.state)
        following = {1: facemem.pause, 2: facemem.resume, 3: facemem.cancel}.get(len(seen))
        if following is not None:
            following(job.id)
    assert seen == [JobState.RUNNING, JobState.PAUSED, JobState.RUNNING, JobState.CANCELLED]
    assert {image.state for image in facemem.results(job.id)} == {ImageState.CANCELLED}


def test_events_tell_the_same(facemem: Facemem, tmp_path: Path) -> None:
    job = facemem.submit(files(tmp_path, 3))
    seen = []
    for status in facemem.events(job.id):
        seen.append(status.state)
        if len(seen) == 1:
            facemem.cancel(job.id)
    assert (seen[0], seen[-1]) == (JobState.RUNNING, JobState.CANCELLED)


def test_jobs_are_found_by_what_they_were_told(facemem: Facemem, tmp_path: Path) -> None:
    paths = files(tmp_path, 1)
    spring = facemem.submit(paths, name="a", labels=["spring", "print"], priority="interactive")
    autumn = facemem.submit(paths, name="b", labels=["autumn"], idempotency_key="order-7")
    facemem.pause(autumn.id)
    assert [job.id for job in facemem.jobs()] == [autumn.id, spring.id]
    for filters in (
        {"labels": ["print", "spring"]},
        {"states": ["running"]},
        {"ids": [spring.id]},
        {"name": "a"},
        {"priority": "interactive"},
        {"created_before": autumn.created_at},
    ):
        assert [job.id for job in facemem.jobs(**filters)] == [spring.id], filters
    assert [job.id for job in facemem.jobs(idempotency_key="order-7")] == [autumn.id]
    assert list(facemem.jobs(labels=["spring", "autumn"])) == []


def test_a_watch_outlasts_a_restart_but_not_a_refusal(facemem: Facemem, tmp_path: Path) -> None:
    job = facemem.submit(files(tmp_path, 1))
    facemem.cancel(job.id)
    asked = facemem._calls.request
    errors = [Unreachable(), ApiError("temporarily_unavailable", "Try again.", 503), Unreachable()]

    def faltering(*arguments: Any, **options: Any) -> Any:
        if errors:
            raise errors.pop()
        return asked(*arguments, **options)

    facemem._calls.request = faltering  # type: ignore[method-assign]
    assert [status.state for status in facemem.watch(job.id, seconds=0.01)] == ["cancelled"]
    with pytest.raises(ApiError):
        list(facemem.watch(uuid4()))


def test_repeating_a_submission_is_the_same_job(facemem: Facemem, tmp_path: Path) -> None:
    paths = files(tmp_path, 2)
    first = facemem.submit(paths, idempotency_key="order-4711", name="a")
    assert facemem.submit(paths, idempotency_key="order-4711", name="a").id == first.id
    with pytest.raises(ApiError) as other:
        facemem.submit(paths, idempotency_key="order-4711", name="b")
    assert other.value.code == "idempotency_key_reused"


def test_a_preview_leaves_nothing_behind(facemem: Facemem, tmp_path: Path) -> None:
    [path] = files(tmp_path, 1)
    found = facemem.preview([path, path], name="n", labels=["a"])
    assert (found.images, found.accepted, found.duplicates) == (2, 2, 1)
    links = facemem.preview_links(["https://example.org/a.jpg", "gopher://example.org/b.jpg"])
    assert (links.images, links.accepted, links.rejected.images) == (2, 1, 1)
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.write(path, "in/a.jpg")
    assert facemem.preview_archive(tmp_path / "set.zip").images == 1
    assert list(facemem.jobs()) == []


def test_archives_and_manifests_are_sent_as_they_are(facemem: Facemem, tmp_path: Path) -> None:
    [path] = files(tmp_path, 1)
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.write(path, "in/a.jpg")
    job = facemem.submit_archive(tmp_path / "set.zip", name="zip", labels=["a", "b"], metadata={"n": [1]})
    assert (job.name, job.labels, job.metadata, job.images) == ("zip", ["a", "b"], {"n": [1]}, 1)
    manifest = tmp_path / "links.csv"
    manifest.write_text("url,custom_id,photographer\nhttps://example.org/a.jpg,7,Ada\n")
    job = facemem.submit_manifest(manifest, deadline_seconds=60, retention_seconds=60, scores_only=True)
    [image] = facemem.results(job.id)
    assert (image.custom_id, image.metadata, job.scores_only) == ("7", {"photographer": "Ada"}, True)
    assert job.deadline is not None


def test_paths_may_be_texts_and_there_must_be_some(facemem: Facemem, tmp_path: Path) -> None:
    [path] = files(tmp_path, 1)
    assert facemem.submit(str(path)).images == facemem.submit([str(path)]).images == 1
    with pytest.raises(NothingToSend):
        facemem.submit([])


def test_pictures_and_results_of_a_job_can_be_taken_away(facemem: Facemem, tmp_path: Path) -> None:
    job = facemem.submit(files(tmp_path, 2), relative_to=tmp_path)
    facemem.export(job.id, "jsonl", tmp_path / "scores.jsonl")
    records = [json.loads(line) for line in (tmp_path / "scores.jsonl").read_text().splitlines()]
    assert [record["image"] for record in records] == ["0000.jpg", "0001.jpg"]
    assert list(facemem.faces(job.id)) == []
    assert list(facemem.results(job.id, states=["succeeded"])) == []
    with pytest.raises(ApiError):
        facemem.export(uuid4(), "csv", tmp_path / "absent.csv")
    assert not list(tmp_path.glob("absent*"))


def test_deleting_leaves_a_receipt_and_a_trace(facemem: Facemem, tmp_path: Path) -> None:
    job = facemem.submit(files(tmp_path, 2))
    first, _ = facemem.results(job.id)
    assert facemem.delete_image(first.id).images == 1
    receipt = facemem.delete_job(job.id)
    assert facemem.deletion(receipt.id).job == job.id
    assert receipt.id in [each.id for each in facemem.deletions()]
    assert [entry.subject for entry in facemem.audit(action="job.deleted")] == [str(job.id)]
    with pytest.raises(ApiError):
        facemem.job(job.id)


def test_keys_and_webhooks_come_and_go(facemem: Facemem) -> None:
    assert {"max_file_bytes", "max_labels"} <= {limit.name for limit in facemem.limits()}
    made = facemem.keys.create("press", ["read"], tenant="press", expires_in_seconds=60)
    with Facemem(facemem.url, made.key) as press:
        assert (press.tenant().tenant, press.tenant().scopes) == ("press", ["read"])
    hook = facemem.webhooks.create("https://example.org/a", ["job.completed"])
    assert facemem.webhooks.webhook(hook.id).events == ["job.completed"]
    assert not facemem.webhooks.change(hook.id, enabled=False).enabled
    assert facemem.webhooks.change(hook.id, enabled=True, url="https://example.org/b").url == "https://example.org/b"
    assert facemem.webhooks.rotate(hook.id).secret != hook.secret
    sent = facemem.webhooks.test(hook.id)
    assert facemem.webhooks.redeliver(hook.id, sent.id).id == sent.id
    assert [each.id for each in facemem.webhooks.deliveries(hook.id)] == [sent.id]
    facemem.webhooks.delete(hook.id)
    assert facemem.webhooks.all() == []


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
