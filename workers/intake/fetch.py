"""Fetching an image by its link, from public addresses only (`shared.addresses`). Each redirect is checked anew."""

import asyncio
import ssl
from dataclasses import dataclass
from io import BytesIO

import httpx

from shared import outgoing
from shared.errors import FetchFailed, FetchRefused, NotFetched, TooLarge

REDIRECTS = 5
# Answers that may be different later. 421: the connection was meant for another host.
PASSING = frozenset({408, 421, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Limits:
    """What one fetch may take. `private` also allows http and private addresses: for tests and intranets only."""

    bytes: int
    seconds: float
    private: bool = False


def open_client(trust: ssl.SSLContext) -> httpx.AsyncClient:
    """The client that `fetch` expects.

    Nothing is asked for compressed: what is small on the way could be huge when inflated.
    """
    return outgoing.open_client({"Accept": "image/*", "Accept-Encoding": "identity"}, trust)


async def fetch(client: httpx.AsyncClient, url: str, limits: Limits) -> bytes:
    """The bytes behind a link. `limits.seconds` covers everything: looking up names, redirects, the last byte.

    Raises FetchRefused (not a link we follow), NotFetched (the server says no), TooLarge, or FetchFailed (later).
    """
    try:
        async with asyncio.timeout(limits.seconds):
            return await _follow(client, httpx.URL(url), limits)
    except TimeoutError as error:
        raise FetchFailed(f"The image did not arrive within {limits.seconds:g} seconds.") from error
    # Broken TLS records arrive as OSError: httpx does not translate them.
    except (httpx.HTTPError, OSError) as error:
        raise FetchFailed(f"The link could not be fetched: {str(error) or type(error).__name__}") from error
    except (httpx.InvalidURL, ValueError) as error:
        raise FetchRefused(f"This is not a link: {error}") from error


async def _follow(client: httpx.AsyncClient, url: httpx.URL, limits: Limits) -> bytes:
    for _ in range(REDIRECTS + 1):
        answer = await _get(client, url, limits)
        if isinstance(answer, bytes):
            return answer
        url = url.join(answer)
    raise NotFetched(f"The link redirects more than {REDIRECTS} times.")


async def _get(client: httpx.AsyncClient, url: httpx.URL, limits: Limits) -> bytes | str:
    """The content, or where the server sends us instead."""
    request = await outgoing.checked_request(client, "GET", url, limits.private)
    response = await client.send(request, stream=True)
    try:
        if response.has_redirect_location:
            return response.headers["Location"]
        _check_status(response.status_code)
        return await _content(response, limits.bytes)
    finally:
        await response.aclose()


def _check_status(status: int) -> None:
    if status in PASSING:
        raise FetchFailed(f"The server answered {status}.")
    if status != httpx.codes.OK:
        raise NotFetched(f"The server answered {status}.")


async def _content(response: httpx.Response, most: int) -> bytes:
    # Of a BytesIO the bytes are taken without a copy, and closing it frees them even if an error still refers to it.
    with BytesIO() as content:
        async for chunk in response.aiter_raw():
            content.write(chunk)
            if content.tell() > most:
                raise TooLarge(f"The image has more than {most:,} bytes.")
        return content.getvalue()
