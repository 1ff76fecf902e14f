"""What can go wrong between a client and the API."""

from http import HTTPStatus

import httpx

from shared.errors import FacememError, TransientError


class ApiError(FacememError):
    """The API refused the request."""

    # `code` is the API's own: stable, so programs may decide by it.
    def __init__(self, code: str, detail: str, status: int) -> None:
        super().__init__(detail)
        self.code = code
        self.status = status


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


def problem(response: httpx.Response) -> ApiError:
    """The error that a response describes (RFC 9457), or that its status stands for if it describes none."""
    try:
        document = response.json()
        return ApiError(str(document["code"]), str(document["detail"]), response.status_code)
    except (ValueError, KeyError, TypeError):
        phrase = HTTPStatus(response.status_code).phrase if response.status_code in list(HTTPStatus) else "unknown"
        code = phrase.lower().replace(" ", "_").replace("-", "_")
        return ApiError(code, f"{response.url} answered {response.status_code} {phrase}", response.status_code)
