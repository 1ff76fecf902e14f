"""Fetching an image by its link, from public addresses only.

The host is resolved once; every address it has must be public; the connection goes to the address that was checked,
so a name server that changes its mind gets nothing. Each redirect is checked anew.
"""

import asyncio
import ipaddress
import socket
from dataclasses import dataclass
from io import BytesIO

import httpx

from shared.errors import FetchFailed, FetchRefused, NotFetched, TooLarge

REDIRECTS = 5
CONNECT_SECONDS = 5.0
# Answers that may be different later. 421: the connection was meant for another host.
PASSING = frozenset({408, 421, 425, 429, 500, 502, 503, 504})
# Ranges that lead to private IPv4 addresses though `is_global` calls them public: NAT64 (RFC 6052), 6to4 (RFC 3056).
TRANSLATED = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("2002::/16"))


@dataclass(frozen=True)
class Limits:
    """What one fetch may take. `private` also allows http and private addresses: for tests and intranets only."""

    bytes: int
    seconds: float
    private: bool = False


def open_client() -> httpx.AsyncClient:
    """The client that `fetch` expects.

    No connection is kept: the pool knows them by address, and on one address another host's certificate may have been
    checked. Nothing is asked for compressed: what is small on the way could be huge when inflated.
    """
    return httpx.AsyncClient(
        timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
        limits=httpx.Limits(max_keepalive_connections=0),
        headers={"User-Agent": "facemem", "Accept": "image/*", "Accept-Encoding": "identity"},
        trust_env=False,
    )


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
    _check_link(url, limits.private)
    host = url.raw_host.decode("ascii")
    address = await public_address(host, url.port or 443, limits.private)
    request = client.build_request(
        "GET",
        url.copy_with(host=address),
        headers={"Host": url.netloc.decode("ascii")},
        extensions={"sni_hostname": host},
    )
    response = await client.send(request, stream=True)
    try:
        if response.has_redirect_location:
            return response.headers["Location"]
        _check_status(response.status_code)
        return await _content(response, limits.bytes)
    finally:
        await response.aclose()


def _check_link(url: httpx.URL, private: bool) -> None:
    if url.scheme not in (("https", "http") if private else ("https",)):
        raise FetchRefused("Links must begin with https://.")
    if not url.host or url.userinfo:
        raise FetchRefused("Links must name a host and carry no password.")
    if url.port is not None and not 0 < url.port < 2**16:
        raise FetchRefused(f"There is no port {url.port}.")


async def public_address(host: str, port: int, private: bool = False) -> str:
    """The first address of a host, if all its addresses are public. Raises FetchRefused or FetchFailed."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise FetchFailed(f"The host {host!r} is not known: {error}") from error
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        if not private and not is_public(address):
            raise FetchRefused(f"The host {host!r} has an address that is not public.")
    return addresses[0]


def is_public(address: str) -> bool:
    """Whether an IP address can only be reached through the public internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    translated = any(ip.version == network.version and ip in network for network in TRANSLATED)
    return ip.is_global and not ip.is_multicast and not translated


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
