"""Captions and scores of the same bytes are taken over where they would come out the same."""

from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from shared.jobs.rescore import rescore
from shared.jobs.states import Stage
from shared.jobs.sweep import take_back_lost
from shared.memorability.catalogue import find
from shared.pipeline.connections import Connections
from shared.settings import Settings
from tests.integration.reuse.workers import FIRST, SCORED, Workers, change, facts, its_own, submit
from tests.ollama_server import OllamaServer
from workers.captioning import caption


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
        assert len(take_back_lost(connection, 4)) == 1
    assert workers.finish(second) == [SCORED]
    assert facts(workers, second) == facts(workers, first)
    its_own(workers, second)
    assert not {face.crop_key for face in workers.rows("faces", second)} & set(copied), "another token, another key"
