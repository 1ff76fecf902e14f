"""One Celery configuration for the API, the dispatcher, the workers and Flower.

It must be one: the shortest visibility timeout among all apps on a broker wins.
"""

from celery import Celery
from kombu import Queue

from shared.jobs.states import Stage
from shared.pipeline.stages import PLANS, QUEUES

# A message unacknowledged for so long is delivered again. That is harmless (it claims nothing) and only a second net:
# the database's leases are the first. Longer than any batch may run, so that it does not fire for nothing.
VISIBILITY_SECONDS = 3 * 3600


def build(broker_url: str) -> Celery:
    """The Celery app on the Redis at `broker_url`. Nothing is connected yet."""
    app = Celery("facemem", broker=broker_url, set_as_current=False)
    app.conf.update(
        # No result backend, chords or groups: results are in Postgres.
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        accept_content=["json"],
        task_serializer="json",
        event_serializer="json",
        enable_utc=True,
        # A worker takes one message at a time and acknowledges it when its transaction is committed.
        task_acks_late=True,
        task_reject_on_worker_lost=False,
        worker_prefetch_multiplier=1,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        # A worker outlives its broker: it tries for ever to reach it again.
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": VISIBILITY_SECONDS,
            "socket_timeout": 30,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            "health_check_interval": 25,
        },
        # A sender gives up soon; the dispatcher sends again when the lease runs out.
        task_publish_retry=True,
        task_publish_retry_policy={"max_retries": 2, "interval_start": 0.1, "interval_max": 0.5},
        # Flower sees what workers do. What was sent and waits, the queues themselves tell it.
        worker_send_task_events=True,
        worker_hijack_root_logger=False,
        task_queues=[Queue(name) for name in QUEUES],
        task_create_missing_queues=False,
        task_default_queue=Stage.INTAKE,
        task_routes={plan.task: {"queue": str(stage)} for stage, plan in PLANS.items()},
    )
    return app
