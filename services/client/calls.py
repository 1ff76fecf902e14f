"""HTTP requests to the API, tried again where that is harmless."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from services.client import errors
from shared.access import is_loopback

TIMEOUT = httpx.Timeout(30.0, connect=5.0)
# Seconds before each further try. A service that is restarted answers again within some of them.
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
# A service may ask for more patience than a caller should be kept without an answer.
LONGEST_PAUSE = 60.0
# Pages of this size keep the memory of both sides small and the number of requests too.
PAGE = 100

Answer = TypeVar("Answer", bound=BaseModel)
# What httpx sends with a request. Made anew for each try: a file that was half sent begins at its start again.
Sent = Callable[[], dict[str, Any]]


def nothing() -> dict[str, Any]:
    """A request without a body."""
    return {}


class Calls:
    """A connection to the API at `url`, with the key that the service gave out, if it asks for one.

    Every method raises ApiError when the API refuses, Unreachable when it is not there. May be used by several threads.
    """

    def __init__(self, url: str, key: str | None = None) -> None:
        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        # A proxy named in the environment does not lead to this machine.
        self._http = httpx.Client(
            base_url=self.url, headers=headers, timeout=TIMEOUT, trust_env=not is_loopback(httpx.URL(self.url).host)
        )
        self._answered = False

    def close(self) -> None:
        """Ends all connections."""
        self._http.close()

    def get(self, path: str, answer: type[Answer], timeout: httpx.Timeout = TIMEOUT, /, **query: Any) -> Answer:
        """Reads something."""
        return self._read(self.request("GET", path, query=query, timeout=timeout, repeatable=True), answer)

    def pages(
        self, path: str, answer: type[Answer], timeout: httpx.Timeout = TIMEOUT, /, **query: Any
    ) -> Iterator[Answer]:
        """Reads a list, page after page. A page says by `next_cursor` where the next one begins."""
        cursor: Any = None
        while True:
            page: Any = self.get(path, answer, timeout, **query, cursor=cursor, limit=PAGE)
            yield page
            cursor = page.next_cursor
            if cursor is None:
                return

    def post(
        self,
        path: str,
        answer: type[Answer],
        sent: Sent = nothing,
        /,
        *,
        query: Any = None,
        headers: dict[str, str] | None = None,
        timeout: httpx.Timeout = TIMEOUT,
        repeatable: bool = False,
    ) -> Answer:
        """Changes something. `repeatable` says that doing it twice is the same as doing it once."""
        response = self.request(
            "POST", path, sent, query=query, headers=headers, timeout=timeout, repeatable=repeatable
        )
        return self._read(response, answer)

    def patch(self, path: str, answer: type[Answer], changes: dict[str, Any]) -> Answer:
        """Changes some fields of something."""
        return self._read(self.request("PATCH", path, lambda: {"json": changes}, repeatable=True), answer)

    def delete(self, path: str, answer: type[Answer]) -> Answer:
        """Removes something that leaves a receipt. Not tried again: the second time there is nothing to remove."""
        return self._read(self.request("DELETE", path), answer)

    def drop(self, path: str) -> None:
        """Removes something that leaves nothing."""
        self.request("DELETE", path)

    def picture(self, path: str, timeout: httpx.Timeout = TIMEOUT, /, **query: Any) -> bytes:
        """Reads a picture."""
        return self.request("GET", path, query=query, timeout=timeout, repeatable=True).content

    def request(
        self,
        method: str,
        path: str,
        sent: Sent = nothing,
        *,
        query: Any = None,
        headers: dict[str, str] | None = None,
        timeout: httpx.Timeout = TIMEOUT,
        repeatable: bool = False,
    ) -> httpx.Response:
        """The answer to one request, which may be 304. Tried again when the service asks for patience, and, if it is
        `repeatable`, when the connection was lost. A service that never answered is not waited for.
        """
        for pause in (*PAUSES, None):
            failure: errors.ApiError | errors.Unreachable
            try:
                response = self._http.request(
                    method, path, params=given(query or {}), headers=headers, timeout=timeout, **sent()
                )
            except (httpx.TransportError, httpx.InvalidURL) as error:
                failure, wait = self._lost(error), pause
                again = repeatable and self._answered
            else:
                self._answered = True
                if response.is_success or response.status_code == HTTPStatus.NOT_MODIFIED:
                    return response
                failure = errors.problem(response)
                wait = max(pause or 0.0, failure.retry_after or 0.0)
                again = failure.status == HTTPStatus.TOO_MANY_REQUESTS or (
                    repeatable and failure.status == HTTPStatus.SERVICE_UNAVAILABLE
                )
            if not again or pause is None or wait is None or wait > LONGEST_PAUSE:
                raise failure
            time.sleep(wait)
        raise AssertionError("the last try returns or raises")

    @contextmanager
    def stream(
        self,
        path: str,
        *,
        query: Any = None,
        headers: dict[str, str] | None = None,
        timeout: httpx.Timeout = TIMEOUT,
    ) -> Iterator[httpx.Response]:
        """A long answer that is read as it comes. Raises Unreachable also when it breaks off."""
        try:
            with self._http.stream(
                "GET", path, params=given(query or {}), headers=headers, timeout=timeout
            ) as response:
                self._answered = True
                if not response.is_success:
                    response.read()
                    raise errors.problem(response)
                yield response
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise self._lost(error) from error

    def _read(self, response: httpx.Response, answer: type[Answer]) -> Answer:
        return self.parsed(response.content, response.status_code, answer)

    def parsed(self, content: bytes | str, status: int, answer: type[Answer]) -> Answer:
        """An answer's body. Raises ApiError if it is not what facemem answers."""
        try:
            return answer.model_validate_json(content)
        except ValidationError as error:
            detail = f"{self.url} answers, but not as facemem does; is it the right address?"
            raise errors.ApiError("not_facemem", detail, status) from error

    def _lost(self, error: Exception) -> errors.Unreachable:
        return errors.Unreachable(f"{self.url} does not answer: {error}")


def given(query: dict[str, Any]) -> dict[str, Any]:
    """What of a query was given: no parameters that are None or empty."""
    return {name: value for name, value in query.items() if value is not None and value != () and value != []}
