"""Faces that were found in the same bytes are taken over: on real Postgres and storage."""

import pytest
from sqlalchemy import text

from shared.jobs.states import Stage
from shared.storage import keys
from tests.integration.reuse.workers import FIRST, SCORED, SECOND, Workers, change, facts, its_own, reasons, submit
from tests.photographs import faceless


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
