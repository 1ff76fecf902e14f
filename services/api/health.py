"""Whether the API lives, and whether the parts it stands on answer."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import redis
import structlog
from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag
from sqlalchemy import text

from services.api.parts import Parts, parts
from services.api.schemas import Health
from shared.storage import keys

log = structlog.get_logger()

api = APIBlueprint("health", __name__, abp_tags=[Tag(name="health", description="For operators and load balancers.")])

BROKER_SECONDS = 3.0


@api.get("/healthz", summary="Is it alive?", responses={200: Health})
def alive() -> dict[str, Any]:
    """This process answers. Says nothing about the parts behind it."""
    return Health(status="ok").model_dump()


@api.get("/readyz", summary="Can it work?", responses={200: Health, 503: Health})
def ready() -> tuple[Response, int]:
    """Database, broker and storage, each tried by using it."""
    ours = parts()
    checks = {
        "database": _tried("database", lambda: _try_database(ours)),
        "broker": _tried("broker", lambda: _try_broker(ours)),
        "storage": _tried("storage", lambda: _try_storage(ours)),
    }
    well = all(outcome == "ok" for outcome in checks.values())
    health = Health(status="ok" if well else "unavailable", checks=checks)
    return jsonify(health.model_dump()), 200 if well else 503


def _tried(part: str, attempt: Callable[[], object]) -> str:
    """`ok`, or the kind of error. Anybody may ask, so what names hosts and users goes into the log only."""
    try:
        attempt()
    except Exception as error:  # Whatever it is, it is the answer.
        log.warning("part_not_ready", part=part, error=str(error))
        return type(error).__name__
    return "ok"


def _try_database(ours: Parts) -> None:
    with ours.database.connect() as connection:
        connection.execute(text("select count(*) from (select from jobs limit 1) as any_job"))


def _try_broker(ours: Parts) -> None:
    url = ours.settings.broker_url.get_secret_value()
    with redis.Redis.from_url(url, socket_timeout=BROKER_SECONDS, socket_connect_timeout=BROKER_SECONDS) as broker:
        broker.ping()


def _try_storage(ours: Parts) -> None:
    key = keys.probe(uuid4())
    ours.objects.put(key, b"ok")
    try:
        ours.objects.get(key)
    finally:
        ours.objects.delete([key])
