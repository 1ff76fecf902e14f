"""Flower, as a window on the workers: it looks and does not touch, and whatever it knows is gone when it stops.

Run in-process rather than through `celery flower`: that would show the password among the options of the process, obey
any `FLOWER_` variable, and execute a `flowerconfig.py` in the folder where it is started.
"""

import signal

import structlog
from flower.app import Flower
from flower.options import options
from flower.urls import settings as web_settings

from services.flower.headers import Guarded
from shared.errors import FlowerExposed
from shared.pipeline import celery_app
from shared.settings import Settings

log = structlog.get_logger()

# A task is a batch. So many are remembered, the newest ones, at about 4 KB each.
TASKS_REMEMBERED = 10_000
# So long a worker that went is shown as offline: until somebody has seen it. Where workers come and go with the load,
# hundreds a day would be.
GONE_SECONDS = 6 * 3600


def serve(settings: Settings) -> None:
    """Runs Flower until it is told to stop.

    Raises FlowerExposed, before anything is bound, when no password is set.
    """
    if not settings.flower_password:
        raise FlowerExposed

    options.address = settings.flower_host
    options.port = settings.flower_port
    options.basic_auth = [f"{settings.flower_user}:{settings.flower_password.get_secret_value()}"]
    options.read_only = True
    options.max_tasks = TASKS_REMEMBERED
    options.purge_offline_workers = GONE_SECONDS

    celery = celery_app.build(settings.broker_url.get_secret_value())
    window = Flower(options, celery, **web_settings, transforms=[Guarded])
    # Between two turns of the loop. An exception in the middle of writing a line would leave the log locked, and what
    # threads want to write to it would keep the process for ever.
    for number in (signal.SIGTERM, signal.SIGINT):
        window.io_loop.asyncio_loop.add_signal_handler(number, window.io_loop.stop)
    window.start_http_server()
    log.info("flower_ready", address=f"http://{settings.flower_host}:{settings.flower_port}")
    try:
        window.start()
    finally:
        window.stop()
