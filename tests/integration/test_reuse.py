"""What was computed for the same bytes is taken over: with real workers' work, on real Postgres and storage."""

from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from shared.jobs import delivery
from shared.jobs.accept import NewImage, NewJob, accept
from shared.jobs.rescore import rescore
from shared.jobs.states import Stage
from shared.jobs.sweep import take_back_lost, take_back_undelivered
from shared.memorability.catalogue import find
from shared.pipeline.connections import Connections
from shared.pipeline.run_stage import Save, Work, run_stage
from shared.settings import Settings
from shared.storage import keys
from tests.integration.conftest import counters_are_exact
from tests.ollama_server import OllamaServer
from tests.photographs import faceless, portraits
from workers.captioning import caption
from workers.captioning import task as captioning
from workers.detection import task as detection
from workers.embedding import task as embedding
from workers.scoring import task as scoring

STAGES = {
    Stage.DETECTION: detection,
    Stage.CAPTIONING: captioning,
    Stage.EMBEDDING: embedding,
    Stage.SCORING: scoring,
}
FIRST, SECOND = (content for _, content in portraits(2))


class Workers:
    """One worker of each kind, set up when it has its first work. `worked`: images that each of them was given."""

    def __init__(self, connections: Connections) -> None:
        self.connections = connections
        self.worked: Counter[Stage] = Counter()
        self._ready: dict[Stage, tuple[Work, Save]] = {}

    def finish(self, job: UUID) -> list[tuple[str, str]]:
        """Run a job to its end. Returns the stage and the state of its images, in their order."""
        while self.step(job):
            pass
        return self.images(job)

    def step(self, job: UUID, *stages: Stage) -> bool:
        """What waits at some stages, or at any; once."""
        some = False
        for stage in stages or STAGES:
            with self.connections.database.begin() as connection:
                connection.execute(text("update images set not_before = null"))
                connection.execute(text("update images set lease_expires_at = '-infinity' where state = 'dispatched'"))
                take_back_undelivered(connection)
                batches = delivery.admit(connection, job, stage, 16, 60)
            for batch in batches:
                some = True
                self.worked[stage] += len(batch.image_ids)
                work, save = self._of(stage)
                run_stage(self.connections, batch, work, save)
        return some

    def _of(self, stage: Stage) -> tuple[Work, Save]:
        if stage not in self._ready:
            self._ready[stage] = STAGES[stage].build(self.connections)
        return self._ready[stage]

    def images(self, job: UUID) -> list[tuple[str, str]]:
        return [(row.stage, row.state) for row in self.rows("images", job)]

    def rows(self, table: str, job: UUID) -> list[Any]:
        with self.connections.database.connect() as connection:
            assert counters_are_exact(connection)
            return list(
                connection.execute(text(f"select * from {table} where job_id = :job order by id"), {"job": job})
            )

    def stored(self, job: UUID) -> int:
        with self.connections.database.connect() as connection:
            return connection.execute(text("select stored_bytes from jobs where id = :job"), {"job": job}).scalar_one()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"device": "cpu", "threads": 1, "ollama_url": "http://127.0.0.1:9"})


@pytest.fixture
def workers(connections: Connections) -> Workers:
    return Workers(connections)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images faces were really looked for in, by batch."""
    numbers: list[int] = []

    def counted(finder: Any, contents: Any, settings: Any, real: Callable[..., Any] = detection.detect) -> Any:
        numbers.append(len(contents))
        return real(finder, contents, settings)

    monkeypatch.setattr(detection, "detect", counted)
    return numbers


@pytest.fixture
def described(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which captions were really written."""
    texts: list[str] = []

    def counted(*arguments: Any, real: Callable[..., str] = caption.describe) -> str:
        texts.append(real(*arguments))
        return texts[-1]

    monkeypatch.setattr(caption, "describe", counted)
    return texts


def submit(workers: Workers, *contents: bytes, captioner: str = "describer", **changes: Any) -> UUID:
    job = NewJob(uuid4(), captioner, **{"bundle": find("compact").digest, **changes})
    images = []
    for content in contents:
        key = keys.original(job.id, uuid4())
        workers.connections.objects.put(key, content)
        digest = sha256(content).digest()
        images.append(NewImage("a.jpg", key, original_bytes=len(content), content_digest=digest))
    with workers.connections.database.begin() as connection:
        accept(connection, job, images)
    return job.id


def change(workers: Workers, statement: str, **values: Any) -> None:
    with workers.connections.database.begin() as connection:
        connection.execute(text(statement), values)


SCORED = ("scoring", "succeeded")
SAME = ("position", "box", "crop_box", "landmarks", "confidence", "flags", "caption", "captioner", "score",
        "uncertainty", "percentile", "bundle", "scored_at")  # fmt: skip


def facts(workers: Workers, job: UUID) -> list[tuple[Any, ...]]:
    return [tuple(getattr(face, column) for column in SAME) for face in workers.rows("faces", job)]


def reasons(workers: Workers, job: UUID) -> list[Any]:
    query = text("""
        select logit, constant, words, rows, columns, contributions, attention
        from explanations join faces on faces.id = face_id where job_id = :job order by face_id
    """)
    with workers.connections.database.connect() as connection:
        return [tuple(row) for row in connection.execute(query, {"job": job})]


def test_a_set_that_was_scored_before_is_not_computed_again(
    workers: Workers, found: list[int], described: list[str]
) -> None:
    first = submit(workers, FIRST, SECOND, faceless())
    assert workers.finish(first) == [SCORED, SCORED, ("detection", "skipped")]
    before = dict(workers.worked)
    second = submit(workers, FIRST, SECOND, faceless())
    assert workers.finish(second) == [SCORED, SCORED, ("detection", "skipped")]
    assert (sum(found), len(described)) == (3, 2), "only the first time"
    assert workers.worked == before | {Stage.DETECTION: 6, Stage.CAPTIONING: 4}
    old, new = workers.rows("images", first), workers.rows("images", second)
    assert [image.reused_from for image in new] == [image.id for image in old]
    assert [image.reused_from for image in old] == [None] * 3
    for column in ("width", "height", "derived_bytes", "detector", "content_digest", "reason", "detail"):
        assert [getattr(image, column) for image in new] == [getattr(image, column) for image in old]
    assert facts(workers, second) == facts(workers, first)
    assert reasons(workers, second) == reasons(workers, first) != []
    assert workers.stored(second) == workers.stored(first) > 0
    its_own(workers, second)


def its_own(workers: Workers, job: UUID) -> None:
    """Everything that a job shows lies under its own prefix, and is there; and its bytes are counted."""
    objects = workers.connections.objects
    images = workers.rows("images", job)
    crops = [face.crop_key for face in workers.rows("faces", job)]
    derived = [image.photo_key for image in images] + crops
    assert all(key.startswith(keys.job(job)) for key in derived)
    assert sum(objects.size(key) for key in derived) == sum(image.derived_bytes for image in images)
    originals = sum(objects.size(image.original_key) for image in images)
    assert workers.stored(job) == originals + sum(image.derived_bytes for image in images)


def test_the_first_job_may_be_deleted(workers: Workers) -> None:
    first = submit(workers, FIRST)
    workers.finish(first)
    second = submit(workers, FIRST)
    workers.finish(second)
    before = facts(workers, second)
    workers.connections.objects.delete(list(workers.connections.objects.keys(keys.job(first))))
    change(workers, "delete from jobs where id = :job", job=first)
    assert facts(workers, second) == before
    its_own(workers, second)


def test_copies_in_one_set_are_computed_once(workers: Workers, found: list[int], described: list[str]) -> None:
    job = submit(workers, FIRST, SECOND, FIRST, FIRST, faceless(), faceless())
    workers.step(job, Stage.DETECTION)
    assert [(image.state, image.reason) for image in workers.rows("images", job)] == [
        ("dispatched", None),
        ("dispatched", None),
        ("ready", "same_image"),
        ("ready", "same_image"),
        ("skipped", "no_face"),
        ("ready", "same_image"),
    ]
    assert [image.attempt for image in workers.rows("images", job)] == [0, 0, 0, 0, 1, 0]
    assert workers.finish(job) == [SCORED] * 4 + [("detection", "skipped")] * 2
    assert (sum(found), len(described)) == (3, 2)
    scores = [face.score for face in workers.rows("faces", job)]
    assert scores[0] == scores[2] == scores[3] != scores[1]
    first, _, *copies, bare, another = workers.rows("images", job)
    assert {copy.reused_from for copy in copies} <= {first.id, *(copy.id for copy in copies)}
    assert another.reused_from == bare.id
    with workers.connections.database.connect() as connection:
        assert connection.execute(text("select count(*) from attempts")).scalar_one() == 0
    its_own(workers, job)


def test_in_a_job_that_keeps_scores_only_nobody_waits(workers: Workers, found: list[int]) -> None:
    job = submit(workers, FIRST, FIRST, scores_only=True)
    workers.step(job, Stage.DETECTION)
    assert workers.images(job) == [("captioning", "dispatched")] * 2
    assert found == [2]


def test_nobody_waits_for_one_that_failed_or_was_cancelled(workers: Workers, found: list[int]) -> None:
    job = submit(workers, FIRST, FIRST)
    workers.step(job, Stage.DETECTION)
    change(workers, "update images set state = 'failed', photo_key = null where position = 0")
    change(workers, "update job_counts set images = 0")
    change(
        workers,
        """insert into job_counts select job_id, stage, state, count(*) from images group by 1, 2, 3
        on conflict (job_id, stage, state) do update set images = excluded.images""",
    )
    workers.step(job, Stage.DETECTION)
    assert workers.images(job)[1][0] == "captioning"
    assert sum(found) == 2


def test_other_tenants_images_are_never_looked_at(workers: Workers, found: list[int], described: list[str]) -> None:
    first = submit(workers, FIRST, tenant="one")
    workers.finish(first)
    second = submit(workers, FIRST, tenant="two")
    workers.finish(second)
    assert (sum(found), len(described)) == (2, 2)
    [image] = workers.rows("images", second)
    assert image.reused_from is None


@pytest.mark.parametrize(
    "unfit",
    [
        "update jobs set what_if = true",
        "update jobs set scores_only = true",
        "update images set detector = 'another'",
        "update images set photo_key = null",
        "update faces set crop_key = null",
        "update images set content_digest = null",
    ],
)
def test_faces_of_what_does_not_fit_are_looked_for_again(workers: Workers, found: list[int], unfit: str) -> None:
    first = submit(workers, FIRST)
    workers.step(first, Stage.DETECTION)
    change(workers, unfit)
    second = submit(workers, FIRST)
    workers.step(second, Stage.DETECTION)
    assert found == [1, 1]
    assert workers.rows("images", second)[0].reused_from is None


def test_what_another_running_job_has_found_is_enough_for_detection(workers: Workers, found: list[int]) -> None:
    first = submit(workers, FIRST)
    workers.step(first, Stage.DETECTION)
    second = submit(workers, FIRST)
    workers.step(second, Stage.DETECTION)
    assert sum(found) == 1
    assert workers.rows("images", second)[0].reused_from == workers.rows("images", first)[0].id
    its_own(workers, second)


def test_a_twin_whose_objects_are_gone_is_computed(workers: Workers, found: list[int]) -> None:
    first = submit(workers, FIRST)
    workers.step(first, Stage.DETECTION)
    objects = workers.connections.objects
    objects.delete(list(objects.keys(f"{keys.job(first)}crops/")))
    second = submit(workers, FIRST)
    workers.step(second, Stage.DETECTION)
    assert found == [1, 1]
    assert workers.rows("images", second)[0].reused_from is None
    its_own(workers, second)


@pytest.mark.parametrize(
    "unfit",
    [
        "update jobs set bundle = repeat('0', 64)",
        "update jobs set what_if = true",
        "update jobs set scores_only = true",
        "update faces set caption = null",
        "update faces set score = null",
        "update faces set bundle = repeat('0', 64)",
        """update faces set captioner = '{"name": "describer", "version": "0"}'""",
        """update faces set captioner = '{"name": "ollama", "model": "a"}'""",
        "delete from explanations",
        "update faces set box = '{0, 0, 5, 5}'",
        "update images set state = 'failed'",
        "delete from faces",
    ],
)
def test_scores_of_what_does_not_fit_are_made_anew(workers: Workers, described: list[str], unfit: str) -> None:
    first = submit(workers, FIRST)
    workers.finish(first)
    second = submit(workers, FIRST)
    workers.step(second, Stage.DETECTION)
    change(workers, unfit + _of(unfit, first))
    change(workers, "delete from job_counts")
    change(workers, "insert into job_counts select job_id, stage, state, count(*) from images group by 1, 2, 3")
    workers.step(second, Stage.CAPTIONING)
    assert len(described) == 2
    assert workers.images(second) == [("embedding", "dispatched")]


def test_scores_of_a_job_that_scored_again_are_as_good(workers: Workers, described: list[str]) -> None:
    first, second = submit(workers, FIRST), uuid4()
    workers.finish(first)
    with workers.connections.database.begin() as connection:
        connection.execute(text("update jobs set state = 'completed'"))
        assert rescore(connection, first, second, find("compact").digest)
    assert workers.finish(second) == [SCORED]
    change(workers, "delete from explanations" + _of("explanations", first))
    third = submit(workers, FIRST)
    assert workers.finish(third) == [SCORED]
    assert len(described) == 1
    assert workers.rows("images", third)[0].reused_from == workers.rows("images", second)[0].id
    assert facts(workers, third) == facts(workers, second)
    its_own(workers, third)


def _of(statement: str, job: UUID) -> str:
    """The condition that lets a statement touch a job's rows only."""
    if "explanations" in statement:
        return f" where face_id in (select id from faces where job_id = '{job}')"
    return f" where {'id' if ' jobs ' in statement else 'job_id'} = '{job}'"


def test_auto_does_not_take_the_describers_words_once_ollama_is_there(
    settings: Settings, workers: Workers, described: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caption, "BELIEVED_SECONDS", 0.0)
    first = submit(workers, FIRST, captioner="auto")
    workers.finish(first)
    with OllamaServer() as ollama:
        talking = settings.model_copy(update={"ollama_url": ollama.url})
        own = workers.connections
        there = Workers(Connections(talking, own.database, own.objects, own.celery))
        second = submit(there, FIRST, captioner="auto")
        assert there.finish(second) == [SCORED]
        assert [face.captioner["name"] for face in there.rows("faces", second)] == ["ollama"]
        third = submit(there, FIRST, captioner="ollama")
        assert there.finish(third) == [SCORED]
        assert (len(ollama.asked), len(described)) == (1, 1)
        assert facts(there, third) == facts(there, second)
        ollama.mode = "busy"
        fourth = submit(there, FIRST, captioner="ollama")
        there.step(fourth, Stage.DETECTION)
        there.step(fourth, Stage.CAPTIONING)
        assert there.images(fourth) == [("captioning", "ready")], "who writes cannot be told, so nothing is taken over"
    fifth = submit(workers, FIRST, captioner="auto")
    workers.finish(fifth)
    assert facts(workers, fifth) == facts(workers, first)


def test_a_worker_that_dies_after_copying_leaves_no_half(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    first = submit(workers, FIRST)
    workers.finish(first)
    second = submit(workers, FIRST)
    real = workers.connections.objects.copy
    copied = []

    def dies(source: str, target: str) -> None:
        real(source, target)
        copied.append(target)
        if len(copied) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(workers.connections.objects, "copy", dies)
    with pytest.raises(KeyboardInterrupt):
        workers.step(second, Stage.DETECTION)
    assert workers.rows("faces", second) == []
    monkeypatch.undo()
    with workers.connections.database.begin() as connection:
        connection.execute(text("update images set lease_expires_at = '-infinity' where state = 'running'"))
        assert take_back_lost(connection, 4) == 1
    assert workers.finish(second) == [SCORED]
    assert facts(workers, second) == facts(workers, first)
    its_own(workers, second)
    assert not {face.crop_key for face in workers.rows("faces", second)} & set(copied), "another token, another key"
