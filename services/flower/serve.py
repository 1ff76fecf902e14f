"""Flower, as a window on the workers: it looks and does not touch, and whatever it knows is gone when it stops.

Run in-process rather than through `celery flower`: that would show the password among the options of the process, obey
any `FLOWER_` variable, and execute a `flowerconfig.py` in the folder where it is started.
"""

import ipaddress
import signal
import sys

import structlog
from flower.app import Flower
from flower.options import options
from flower.urls import settings as web_settings

from shared.errors import FlowerExposed
from shared.pipeline import celery_app
from shared.settings import Settings

log = structlog.get_logger()

# A task is a batch. So many are remembered, the newest ones, at about 4 KB each.
TASKS_REMEMBERED = 10_000


def serve(settings: Settings) -> None:
    """Runs Flower until it is told to stop.

    Raises FlowerExposed, before anything is bound, when it would be open to the network without a password.
    """
    password = settings.flower_password.get_secret_value() if settings.flower_password else ""
    if not password and not is_loopback(settings.flower_host):
        raise FlowerExposed

    options.address = settings.flower_host
    options.port = settings.flower_port
    options.basic_auth = [f"{settings.flower_user}:{password}"] if password else []
    options.read_only = True
    options.max_tasks = TASKS_REMEMBERED

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    window = Flower(options, celery_app.build(settings.broker_url.get_secret_value()), **web_settings)
    window.start_http_server()
    log.info("flower_ready", address=f"http://{settings.flower_host}:{settings.flower_port}")
    try:
        window.start()
    except KeyboardInterrupt:
        pass
    finally:
        window.stop()


def is_loopback(host: str) -> bool:
    """True if a server bound to this host is reached from this machine only. A name counts only if it is localhost."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
