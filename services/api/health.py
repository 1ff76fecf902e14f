"""Whether the API lives, and whether the parts it stands on answer."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import structlog
from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag
from sqlalchemy import text

from services.api.parts import Parts, parts
from services.api.schemas import Health
from services.api.schemas.service import Degradation
from shared.errors import BrokerUnavailable, PartUnavailable, StorageUnavailable
from shared.jobs.health import troubles
from shared.pipeline.broker import broker, try_writing
from shared.storage import keys

log = structlog.get_logger()

api = APIBlueprint("health", __name__, abp_tags=[Tag(name="health", description="For operators and load balancers.")])

# A database that takes longer for these few counts serves nobody.
DATABASE_SECONDS = 5


@api.get("/healthz", summary="Is it alive?", responses={200: Health})
def alive() -> dict[str, Any]:
    """This process answers. Says nothing about the parts behind it."""
    return Health(status="ok").model_dump(include={"status", "checks"})


@api.get("/readyz", summary="Can it work?", responses={200: Health, 503: Health})
def ready() -> tuple[Response, int]:
    """Database, broker and storage, each tried by using it; and whether work goes on, as the database knows it.

    Without the database nothing can be served: 503. With anything else away or standing still jobs can at least be
    watched and read, and nothing is lost: 200, and `degraded` says what is wrong and what to do.
    """
    ours = parts()
    found: list[PartUnavailable] = []
    checks = {
        "database": _tried("database", lambda: found.extend(_work_troubles(ours))),
        "broker": _tried("broker", lambda: _try_broker(ours)),
        "storage": _tried("storage", lambda: _try_storage(ours)),
    }
    away = {"broker": BrokerUnavailable, "storage": StorageUnavailable}
    wrong = [error(error.title()) for part, error in away.items() if checks[part] != "ok"]
    wrong += [trouble for trouble in found if type(trouble) not in map(type, wrong)]
    well = checks["database"] == "ok"
    health = Health(
        status="unavailable" if not well else "degraded" if wrong else "ok",
        checks=checks,
        degraded=[Degradation(code=error.code, detail=error.detail, advice=error.advice()) for error in wrong],
    )
    return jsonify(health.model_dump()), 200 if well else 503


def _tried(part: str, attempt: Callable[[], object]) -> str:
    """`ok`, or the kind of error. Anybody may ask, so what names hosts and users goes into the log only."""
    try:
        attempt()
    except Exception as error:  # Whatever it is, it is the answer.
        log.warning("part_not_ready", part=part, error=str(error))
        return type(error).__name__
    return "ok"


def _work_troubles(ours: Parts) -> list[PartUnavailable]:
    with ours.database.begin() as connection:
        connection.execute(text(f"set local statement_timeout = '{DATABASE_SECONDS}s'"))
        return troubles(connection, ours.settings)


def _try_broker(ours: Parts) -> None:
    with broker(ours.settings) as client:
        try_writing(client)


def _try_storage(ours: Parts) -> None:
    key = keys.probe(uuid4())
    ours.objects.put(key, b"ok")
    try:
        ours.objects.get(key)
    finally:
        ours.objects.delete([key])
