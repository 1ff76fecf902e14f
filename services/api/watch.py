"""Watching one job: its status, at once or when it has changed, and as a stream of events."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from time import monotonic, sleep
from typing import Any
from uuid import UUID

import structlog
from flask import Response, current_app, request, stream_with_context
from flask_openapi3 import APIBlueprint, Tag
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.datastructures import ETags

from services.api.caller import caller
from services.api.parts import parts
from services.api.places import Places
from services.api.problems import NotFound, Problem, RequestError
from services.api.schemas import JobPath, JobStatus
from services.api.schemas.status import KnownAnswer, LastEvent, WatchQuery
from services.api.shared_reads import SharedReads
from services.api.status import etag, job_status
from shared.jobs.states import OPEN, JobState

api = APIBlueprint("watch", __name__, url_prefix="/v1", abp_tags=[Tag(name="jobs", description="Submit and watch.")])

log = structlog.get_logger()

# In each process: whoever waits keeps a thread.
MOST_AT_ONCE = 40
# How soon a change is noticed.
LOOK_SECONDS = 0.5
# Between two signs of life of a stream. Proxies close a connection on which nothing comes for a minute.
ALIVE_SECONDS = 15.0
# Then a stream ends, and its client takes it up again: so nobody keeps a place who is not there any more, or whose key
# was revoked.
STREAM_SECONDS = 120.0
RECONNECT_MILLISECONDS = 1000
# When it is worth asking again: after this share of what is left, and within these bounds.
SHARE_OF_REST = 0.05
SOONEST, LATEST = 1, 30

ETAG = {"description": "names this answer; `If-None-Match` takes it", "schema": {"type": "string"}}
RETRY_AFTER = {
    "description": "seconds after which it is worth asking again; while the job has not ended",
    "schema": {"type": "integer"},
}
STATUS: dict[str, Any] = {
    "description": "How far the job is.",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/JobStatus"}}},
    "headers": {"ETag": ETAG, "Retry-After": RETRY_AFTER},
}
UNCHANGED = {"description": "unchanged since the answer with that ETag", "headers": {"ETag": ETAG}}
# Of one event: so OpenAPI 3.1 describes a stream of them.
EVENT: dict[str, Any] = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {
        "event": {"enum": ["status", "end"]},
        "id": {"type": "string", "description": "where to go on from: the `ETag` of that status"},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"anyOf": [{"$ref": "#/components/schemas/JobStatus"}, {"required": ["state"]}]},
            "description": "a job's status; of `end` only the state that it ended in, which may be `deleted`",
        },
    },
}
EVENTS = {
    "description": "`status` events with a job's status, whenever it has changed, and `end` when it has ended.",
    "content": {"text/event-stream": {"schema": EVENT}},
}


class WatchersBusy(RequestError):
    """Too many streams are open at the same time. Ask for the status from time to time instead, or try again."""

    code = "watchers_busy"
    status = HTTPStatus.SERVICE_UNAVAILABLE


@api.get("/jobs/<uuid:job_id>", summary="Watch a job", responses={200: STATUS, 304: UNCHANGED, 404: Problem})
def show(path: JobPath, query: WatchQuery, header: KnownAnswer) -> Response:
    """Counts per state and stage, rates and an estimate. Costs the same for a million images as for ten.

    With `wait` the answer comes when the job has ended, or differs from the one that `If-None-Match` names, or after
    that many seconds. Where too many wait already, it comes at once.
    """
    seen, known = _read(path.job_id), request.if_none_match
    if query.wait and _nothing_new(seen, known) and (leave := _watchers().take()) is not None:
        try:
            seen = _changed(path.job_id, known, query.wait)
        finally:
            leave()
    unchanged = known.contains_weak(seen.tag)
    answer = Response(status=304) if unchanged else Response(seen.body, mimetype="application/json")
    answer.set_etag(seen.tag, weak=True)
    answer.headers["Cache-Control"] = "private, no-cache"
    if seen.state in OPEN:
        answer.headers["Retry-After"] = str(seen.pause)
    return answer


@api.get("/jobs/<uuid:job_id>/events", summary="Watch a job as it happens", responses={200: EVENTS, 404: Problem})
def events(path: JobPath, header: LastEvent) -> Response:
    """Server-sent events: the job's status at once and whenever it has changed, until `end`. With `Last-Event-ID` a
    stream goes on where it was broken off. A comment comes now and then as a sign of life; after some minutes a stream
    ends without `end`, to be taken up again.
    """
    _read(path.job_id)
    leave = _watchers().take()
    if leave is None:
        raise WatchersBusy(limit="max_watchers", maximum=MOST_AT_ONCE)
    answer = Response(
        stream_with_context(_events(path.job_id, request.headers.get("Last-Event-ID"))), mimetype="text/event-stream"
    )
    answer.call_on_close(leave)
    answer.headers["Cache-Control"] = "private, no-store"
    answer.headers["X-Accel-Buffering"] = "no"  # nginx would keep events until they fill a buffer
    return answer


@dataclass(frozen=True)
class Seen:
    """A job's status as it is answered. pause: seconds after which it is worth asking again."""

    state: JobState
    tag: str
    body: str
    pause: int


def _read(job_id: UUID) -> Seen:
    """Raises NotFound."""
    ours = parts()

    def found() -> Seen:
        with ours.session() as session:
            status = job_status(session, job_id)
        return Seen(status.state, etag(status), status.model_dump_json(), _pause(status))

    reads: SharedReads[tuple[str, str, UUID], Seen] = current_app.extensions["facemem_status_reads"]
    # What is seen depends on who asks, and the addresses in it on where the service is mounted.
    return reads.read((caller().tenant, request.script_root, job_id), found)


def _watchers() -> Places:
    found: Places = current_app.extensions["facemem_watchers"]
    return found


def _nothing_new(seen: Seen, known: ETags) -> bool:
    """Whether whoever waits for it would go on waiting: for a change if it has an answer, else for the end."""
    return seen.state in OPEN and (not known or known.contains_weak(seen.tag))


def _changed(job_id: UUID, known: ETags, seconds: float) -> Seen:
    """The status when there is something new, or when the time is over. Raises NotFound if the job is deleted."""
    until = monotonic() + seconds
    while True:
        # Before the status is read: what happens after that look is seen by the next one.
        before = _glance(job_id)
        seen = _read(job_id)
        if not _nothing_new(seen, known) or not _moved(job_id, before, until - monotonic()):
            return seen


def _moved(job_id: UUID, before: object, seconds: float) -> bool:
    """Whether a job looks other than `before` within so many seconds; returns as soon as it does."""
    until = monotonic() + seconds
    while (left := until - monotonic()) > 0:
        sleep(min(LOOK_SECONDS, left))
        if _glance(job_id) != before:
            return True
    return False


def _glance(job_id: UUID) -> object:
    """All of a job that changes by itself, with one small query; None if it is not there."""
    query = text("""
        select state, expires_at, (
            select array_agg(array[stage, state, images::text] order by stage, state)
            from job_counts where job_id = jobs.id and images > 0)
        from jobs where id = :job
    """)
    with parts().session() as session:
        return session.execute(query, {"job": job_id}).one_or_none()


def _pause(status: JobStatus) -> int:
    if status.state == JobState.PAUSED:
        return LATEST
    return min(max(round((status.estimate_seconds or 0.0) * SHARE_OF_REST), SOONEST), LATEST)


def _events(job_id: UUID, last: str | None) -> Iterator[str]:
    yield f"retry: {RECONNECT_MILLISECONDS}\n\n"
    until = monotonic() + STREAM_SECONDS
    try:
        while monotonic() < until:
            before = _glance(job_id)
            seen = _read(job_id)
            if seen.tag != last:
                yield f"event: status\nid: {seen.tag}\ndata: {seen.body}\n\n"
                last = seen.tag
            if seen.state not in OPEN:
                yield _end(seen.state)
                return
            while not _moved(job_id, before, ALIVE_SECONDS) and monotonic() < until:
                yield ": alive\n\n"
    except NotFound:
        yield _end("deleted")
    except SQLAlchemyError as error:  # The client comes again, and is told then what is wrong.
        log.warning("stream_broke", job=str(job_id), error=str(error))


def _end(state: str) -> str:
    return f"event: end\ndata: {json.dumps({'state': state})}\n\n"
