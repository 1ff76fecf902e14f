"""Errors as RFC 9457 problem documents. `code` is stable; `detail` is for people and says what to do."""

import errno
import re
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

import structlog
from flask import Flask, Response, g, jsonify, make_response, request
from flask_openapi3 import OpenAPI
from pydantic import BaseModel, Field, ValidationError
from sqlalchemy.exc import OperationalError as DatabaseError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from shared.errors import FacememError, ObjectMissing, TransientError

log = structlog.get_logger()

# Seconds after which a client may try again when one of our parts does not answer.
TRY_AGAIN_SECONDS = 5
NOWHERE = "There is nothing at this address. Ids of jobs are UUIDs; /openapi.json lists what there is."


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field("about:blank", description="always about:blank; `code` tells problems apart")
    title: str
    status: int
    code: str = Field(description="stable name of the problem")
    detail: str
    limit: str | None = Field(None, description="the setting whose limit was met")
    maximum: int | None = Field(None, description="that limit's value")
    errors: list[dict[str, Any]] | None = Field(None, description="each field that is wrong, and why")


class RequestError(FacememError):
    """The request cannot be fulfilled as it stands."""

    code = "bad_request"
    status = HTTPStatus.BAD_REQUEST
    headers: Mapping[str, str] = MappingProxyType({})

    def __init__(self, detail: str | None = None, *, limit: str | None = None, maximum: int | None = None) -> None:
        super().__init__(detail)
        self.limit = limit
        self.maximum = maximum


class NotFound(RequestError):
    """There is nothing here under this id."""

    code = "not_found"
    status = HTTPStatus.NOT_FOUND


class NoSuchWord(RequestError):
    """The caption of this face has no word of that number. Words count from 0, in the order of the caption."""

    code = "no_such_word"
    status = HTTPStatus.NOT_FOUND


class NotYet(RequestError):
    """This is not there yet; the job is still on its way."""

    code = "not_yet"
    status = HTTPStatus.CONFLICT


class UnknownBundle(RequestError):
    """This service does not have the model bundle that was asked for."""

    code = "unknown_bundle"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class AmbiguousBundle(RequestError):
    """Several model bundles have this name."""

    code = "bundle_ambiguous"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class DamagedBundle(RequestError):
    """The model bundle that was asked for is here, but not whole."""

    code = "bundle_invalid"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class JobRunning(RequestError):
    """The job still runs; its faces can be scored again when it has ended."""

    code = "job_running"
    status = HTTPStatus.CONFLICT


class AlreadyScored(RequestError):
    """The faces of this job are scored with this bundle already."""

    code = "already_scored"
    status = HTTPStatus.CONFLICT


class RescoredOften(RequestError):
    """The faces of this job were scored with this bundle often enough, and some fail each time."""

    code = "rescored_often"
    status = HTTPStatus.CONFLICT


class InsightsBusy(RequestError):
    """The insights of other jobs are being worked out; ask again in some seconds."""

    code = "insights_busy"
    status = HTTPStatus.SERVICE_UNAVAILABLE


class LimitExceeded(RequestError):
    """The submission is larger than this service accepts."""

    code = "limit_exceeded"
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class InvalidSubmission(RequestError):
    """The submission is not what this service can read."""

    code = "invalid_submission"


class Abandoned(RequestError):
    """Nothing arrived for hours, so the submission was given up and nothing of it is kept. Send it again."""

    code = "submission_abandoned"
    status = HTTPStatus.REQUEST_TIMEOUT


class UnsupportedMedia(RequestError):
    """Send files as multipart/form-data or in a zip or tar, or name them in JSON, JSON lines or CSV."""

    code = "unsupported_media_type"
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


def response(problem: Problem) -> Response:
    """The problem as an HTTP response."""
    answer = make_response(jsonify(problem.model_dump(exclude_none=True)), problem.status)
    answer.mimetype = "application/problem+json"
    if problem.status == HTTPStatus.SERVICE_UNAVAILABLE:
        answer.headers["Retry-After"] = str(TRY_AGAIN_SECONDS)
    return answer


def _problem(status: int, code: str, detail: str, **more: Any) -> Response:
    return response(Problem(title=HTTPStatus(status).phrase, status=status, code=code, detail=detail, **more))


def refusal(error: RequestError) -> Response:
    """The answer to a request that cannot be fulfilled."""
    answer = _problem(error.status, error.code, error.detail, limit=error.limit, maximum=error.maximum)
    answer.headers.update(error.headers)
    return answer


def invalid(error: ValidationError) -> Response:
    """The answer to a request whose fields do not fit."""
    errors = [{"field": ".".join(map(str, each["loc"])), "error": _plain(each["msg"])} for each in error.errors()]
    listed = "; ".join(f"{each['field'] or 'body'}: {each['error']}" for each in errors)
    return _problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", listed, errors=errors)


def _plain(message: str) -> str:
    """What pydantic says, without names of our classes."""
    return re.sub(r"valid dictionary or instance of \w+", "JSON object", message)


def register(app: OpenAPI | Flask) -> None:
    """Let every error of the app end as a problem document."""

    @app.errorhandler(RequestError)
    def refused(error: RequestError) -> Response:
        return refusal(error)

    @app.errorhandler(ValidationError)
    def not_valid(error: ValidationError) -> Response:
        return invalid(error)

    @app.errorhandler(RequestEntityTooLarge)
    def too_large(error: RequestEntityTooLarge) -> Response:
        maximum, most = request.max_content_length or 0, app.config["MAX_CONTENT_LENGTH"]
        if maximum != most:
            detail = f"The body of this request may have {maximum:,} bytes."
            return _problem(413, "limit_exceeded", detail, limit="max_json_bytes", maximum=maximum)
        detail = f"A submission may have {most:,} bytes in all; split it into several jobs."
        return _problem(413, "limit_exceeded", detail, limit="max_submission_bytes", maximum=most)

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response:
        status = error.code or 500
        code = HTTPStatus(status).phrase.lower().replace(" ", "_").replace("-", "_")
        detail = NOWHERE if status == HTTPStatus.NOT_FOUND else error.description or HTTPStatus(status).phrase
        answer = _problem(status, code, detail)
        # What the status obliges us to tell, such as Allow; the body and what describes it are ours.
        answer.headers.extend(each for each in error.get_headers() if not each[0].lower().startswith("content-"))
        return answer

    @app.errorhandler(ObjectMissing)
    def gone(error: ObjectMissing) -> Response:
        log.warning("object_missing", error=error.detail)
        return _problem(HTTPStatus.NOT_FOUND, NotFound.code, "This is no longer in storage.")

    @app.errorhandler(DatabaseError)
    @app.errorhandler(NoConnectionFree)
    @app.errorhandler(TransientError)
    def unavailable(error: Exception) -> Response:
        log.error("part_unavailable", error=str(error))
        code = error.code if isinstance(error, TransientError) else "temporarily_unavailable"
        return _problem(503, code, "A part of the service does not answer; try again.")

    app.register_error_handler(OSError, _out_of_room)
    app.register_error_handler(Exception, _broken)


def _out_of_room(error: OSError) -> Response:
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return _broken(error)
    log.error("disk_full", error=str(error))
    return _problem(503, "disk_full", "The service has no room for what arrives just now; try again.")


def _broken(error: Exception) -> Response:
    log.exception("request_broke")
    return _problem(500, "internal_error", f"Something broke on our side; it was logged as request {g.request_id}.")
