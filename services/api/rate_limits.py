"""How often one key may ask. Counted in Redis, and in each process by itself while Redis is away.

Pictures are counted by themselves: who scrolls through a gallery is shown hundreds in a minute, and each is an object
from storage and no more.

Callers without a key are not counted: they are on this machine, and would all be one. Nor is what is public.
"""

import math
from http import HTTPStatus
from time import time
from typing import Any

import structlog
from flask import Flask, Response, request
from flask_limiter import ApplicationLimit, Limiter, RateLimitExceeded
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from services.api.authentication import is_public
from services.api.caller import OPEN, caller
from services.api.problems import RequestError, refusal
from services.api.submission.options import DRY_RUN
from shared.settings import Settings

log = structlog.get_logger()

# A broker that does not answer must not hold up a request for longer; then the process counts by itself.
BROKER_SECONDS = 0.5
# Requests that make work, or take room.
JOBS = "/v1/jobs"
SUBMISSIONS = frozenset(
    {JOBS, "/v1/uploads", "/v1/jobs/<uuid:job_id>/rescore", "/v1/jobs/<uuid:job_id>/retry"}
    | {"/v1/faces/<int:face_id>/rescore"}
)
PICTURES = frozenset({"/v1/images/<int:image_id>/photo", "/v1/faces/<int:face_id>/crop"})


class RateLimited(RequestError):
    """This key has asked too often. Wait for as long as the header `Retry-After` says."""

    code = "rate_limited"
    status = HTTPStatus.TOO_MANY_REQUESTS


def register(app: Flask, settings: Settings) -> None:
    """Count requests from now on. For after authentication, which says whose they are."""
    patience: dict[str, Any] = {
        "socket_connect_timeout": BROKER_SECONDS,
        "socket_timeout": BROKER_SECONDS,
        "retry": Retry(NoBackoff(), 0),
    }
    limiter = Limiter(
        lambda: caller().actor,
        app=app,
        application_limits=[
            ApplicationLimit(f"{settings.requests_per_minute} per minute", scope="requests", exempt_when=_picture),
            ApplicationLimit(
                f"{settings.pictures_per_minute} per minute", scope="pictures", exempt_when=lambda: not _picture()
            ),
            ApplicationLimit(
                f"{settings.submissions_per_minute} per minute", scope="submissions", exempt_when=_no_submission
            ),
        ],
        storage_uri=_storage(settings.broker_url.get_secret_value()),
        storage_options=patience,
        strategy="fixed-window",
        in_memory_fallback_enabled=True,
        key_prefix="facemem",
    )
    limiter.request_filter(_uncounted)

    @app.errorhandler(RateLimitExceeded)
    def exceeded(error: RateLimitExceeded) -> Response:
        amount = error.limit.limit.amount
        scope = str(error.limit.scope)
        what = "ask for" if scope == "pictures" else "make"
        detail = f"A key may {what} {amount:,} {scope} in a minute. Wait for as long as the header Retry-After says."
        return refusal(RateLimited(detail, limit=f"{scope}_per_minute", maximum=amount))

    @app.after_request
    def tell(answer: Response) -> Response:
        counted = limiter.current_limit
        if counted is None:
            return answer
        try:
            reset, remaining = counted.window
        except RedisError as error:  # it went away since; the next request is counted without it
            log.warning("rate_limit_unknown", error=str(error))
            return answer
        seconds = max(1, math.ceil(reset - time()))
        answer.headers["RateLimit-Limit"] = str(counted.limit.amount)
        answer.headers["RateLimit-Remaining"] = str(max(0, remaining))
        answer.headers["RateLimit-Reset"] = str(seconds)
        if counted.breached:
            answer.headers["Retry-After"] = str(seconds)
        return answer


def _uncounted() -> bool:
    return caller() is OPEN or request.url_rule is None or is_public(request.url_rule.rule)


def _picture() -> bool:
    return request.url_rule is not None and request.url_rule.rule in PICTURES


def _no_submission() -> bool:
    if request.method != "POST" or request.url_rule is None or request.url_rule.rule not in SUBMISSIONS:
        return True
    # A preview keeps nothing. Only for jobs: nothing else has one, and would do its work all the same.
    return request.url_rule.rule == JOBS and request.args.getlist(DRY_RUN) == ["true"]


def _storage(broker_url: str) -> str:
    """The broker's address as the counting library spells it."""
    return broker_url.replace("redis+socket://", "redis+unix://", 1)
