"""What can go wrong between a client and the API."""

from http import HTTPStatus
from typing import Any

import httpx

from shared.errors import FacememError, TransientError


class ApiError(FacememError):
    """The API refused the request."""

    def __init__(
        self,
        code: str,
        detail: str,
        status: int,
        *,
        limit: str | None = None,
        maximum: int | None = None,
        errors: list[dict[str, Any]] | None = None,
        retry_after: float | None = None,
    ) -> None:
        """`code` is the API's own: stable, so programs may decide by it.

        `limit` and `maximum` name the limit that was met, `errors` each field that is wrong, `retry_after` the seconds
        after which it is worth trying again; each only where the API said so.
        """
        super().__init__(detail)
        self.code = code
        self.status = status
        self.limit = limit
        self.maximum = maximum
        self.errors = errors or []
        self.retry_after = retry_after


class Unreachable(TransientError):
    """The facemem API does not answer.

    Start it with `facemem up`, or name another address with --api or FACEMEM_API_URL.
    """

    code = "unreachable"


class FileUnreadable(FacememError):
    """A file could not be sent.

    Check that it is there and may be read, and that nothing writes to it.
    """

    code = "file_unreadable"


class NothingToSend(FacememError):
    """A job needs at least one image.

    Name files that are there; folders are searched for *.jpg, *.jpeg, *.png and *.webp.
    """

    code = "nothing_to_send"


class UnknownForm(FacememError):
    """The name of this file does not say what is in it.

    A manifest ends in .json, .jsonl, .ndjson or .csv; an archive in .zip, .tar, .tar.gz or .tgz.
    """

    code = "unknown_form"


def problem(response: httpx.Response) -> ApiError:
    """The error that a response describes (RFC 9457), or that its status stands for if it describes none."""
    after = retry_after(response)
    try:
        document = response.json()
        return ApiError(
            str(document["code"]),
            str(document["detail"]),
            response.status_code,
            limit=document.get("limit"),
            maximum=document.get("maximum"),
            errors=document.get("errors"),
            retry_after=after,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        phrase = HTTPStatus(response.status_code).phrase if response.status_code in list(HTTPStatus) else "unknown"
        code = phrase.lower().replace(" ", "_").replace("-", "_")
        detail = f"{response.url.copy_with(query=None)} answered {response.status_code} {phrase}"
        return ApiError(code, detail, response.status_code, retry_after=after)


def retry_after(response: httpx.Response) -> float | None:
    """The seconds that a response asks to wait for, if it asks in seconds."""
    try:
        return max(0.0, float(response.headers["Retry-After"]))
    except (KeyError, ValueError):
        return None
