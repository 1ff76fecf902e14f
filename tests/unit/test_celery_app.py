"""The one Celery configuration: what the promise of the design rests on."""

from shared.jobs.states import Priority, Stage
from shared.pipeline.celery_app import VISIBILITY_SECONDS, build
from shared.pipeline.stages import PLANS, queue
from shared.settings import Settings


def test_nothing_lives_in_the_broker() -> None:
    conf = build("redis://localhost").conf
    assert conf.result_backend is None
    assert conf.task_ignore_result
    assert conf.task_acks_late
    assert not conf.task_reject_on_worker_lost
    assert conf.worker_prefetch_multiplier == 1
    assert conf.accept_content == ["json"]
    assert conf.broker_connection_max_retries is None


def test_redelivery_comes_after_any_batch_has_ended() -> None:
    assert Settings.model_fields["max_run_seconds"].default < VISIBILITY_SECONDS


def test_every_stage_has_its_queues_and_its_task() -> None:
    conf = build("redis://localhost").conf
    assert {each.name for each in conf.task_queues} == set(Stage) | {f"{stage}.interactive" for stage in Stage}
    assert queue(Stage.SCORING, Priority.BULK) == "scoring", "as it is called everywhere"
    assert {plan.task: {"queue": str(stage)} for stage, plan in PLANS.items()} == conf.task_routes
    assert len({plan.task for plan in PLANS.values()}) == len(Stage)


def test_stages_follow_each_other() -> None:
    assert [stage.following for stage in Stage] == [*list(Stage)[1:], None]
