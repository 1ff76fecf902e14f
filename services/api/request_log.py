"""What logs tell of requests: an id in every line that a request causes, and a line for each that was answered."""

import logging
import re
from time import monotonic
from uuid import UUID, uuid4

import structlog
from flask import Flask, Response, g, request

from shared import tracing

log = structlog.get_logger()

HEADER = "X-Request-ID"
# What a client or a proxy calls its request, as long as that can be nothing but an id.
SANE = re.compile(r"[A-Za-z0-9._-]{1,64}")
# Parts of a path, and how logs call what they name.
NAMED = {"job_id": "job", "image_id": "image", "face_id": "face"}
READING = frozenset({"GET", "HEAD", "OPTIONS"})


def register(app: Flask) -> None:
    """To be registered first of all: what others log of a request has its id."""

    @app.before_request
    def begin() -> None:
        given = request.headers.get(HEADER, "")
        g.request_id = given if SANE.fullmatch(given) else uuid4().hex
        g.began = monotonic()
        # Not at the end of the request: what is sent piece by piece goes on in this thread after that.
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request=g.request_id, **_subject())

    @app.after_request
    def answered(answer: Response) -> Response:
        answer.headers[HEADER] = g.request_id
        # The rule and not the path. Who watches a job asks all the time; that is worth a line only when it went wrong.
        quiet = request.method in READING and answer.status_code < 500
        log.log(
            logging.DEBUG if quiet else logging.INFO,
            "answered",
            method=request.method,
            rule=request.url_rule.rule if request.url_rule else None,
            status=answer.status_code,
            seconds=round(monotonic() - g.began, 3),
        )
        return answer


def _subject() -> dict[str, str | int]:
    there = (request.view_args or {}).items()
    return {NAMED[name]: str(value) if isinstance(value, UUID) else value for name, value in there if name in NAMED}


def accepted(job: UUID, images: int) -> None:
    """A job was accepted by this request: here its id and that of the request meet. To be called after COMMIT."""
    log.info("job_accepted", job=str(job), count=images)
    tracing.submitted(job, monotonic() - g.began, images=images, request=g.request_id)
