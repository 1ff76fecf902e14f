"""Putting files where the service said: into its storage, which may be somebody else's server."""

from collections.abc import Callable, Iterator
from http import HTTPStatus
from time import sleep
from types import TracebackType
from typing import Self
from urllib.parse import urljoin

import httpx

from services.client import errors
from services.client.calls import PAUSES
from shared.access import is_loopback

TIMEOUT = httpx.Timeout(120.0, connect=10.0)
# What storage answers when it is busy, beside the usual.
PASSING = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)


class Storage:
    """Connections to wherever files are put. They never carry the API's key: an address says by itself who may."""

    def __init__(self, api_url: str) -> None:
        self._api_url = api_url
        self._http = httpx.Client(timeout=TIMEOUT, trust_env=not is_loopback(httpx.URL(api_url).host))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def put(self, url: str, headers: dict[str, str], content: Callable[[], Iterator[bytes]], size: int) -> None:
        """Puts a file there, trying again while that may help. Raises ApiError and Unreachable."""
        sent = {**headers, "Content-Length": str(size)}
        for pause in (*PAUSES, None):
            failure: errors.ApiError | errors.Unreachable
            try:
                response = self._http.put(urljoin(self._api_url, url), headers=sent, content=content())
            except httpx.TransportError as error:
                failure, again = errors.Unreachable(f"The storage does not answer: {error}"), True
            else:
                if response.is_success:
                    return
                failure, again = errors.problem(response), response.status_code in PASSING
            if not again or pause is None:
                raise failure
            sleep(pause)
