"""Fetching an image by its link, from public addresses only.

The host is resolved once; every address it has must be public; the connection goes to the address that was checked,
so a name server that changes its mind gets nothing. Each redirect is checked anew.
"""

import ipaddress
import socket
from dataclasses import dataclass
from time import monotonic
from urllib.parse import SplitResult, urljoin, urlsplit

import httpx

from shared.errors import FetchFailed, FetchRefused, NotFetched, TooLarge

REDIRECTS = 5
CONNECT_SECONDS = 5.0
# Answers that may be different later.
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
# Ranges that lead to private IPv4 addresses though `is_global` calls them public: NAT64 (RFC 6052), 6to4 (RFC 3056).
TRANSLATED = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("2002::/16"))


@dataclass(frozen=True)
class Limits:
    """What one fetch may take. `private` also allows http and private addresses: for tests and intranets only."""

    bytes: int
    seconds: float
    private: bool = False


def fetch(client: httpx.Client, url: str, limits: Limits) -> bytes:
    """The bytes behind a link.

    Raises FetchRefused (not a link we follow), NotFetched (the server says no), TooLarge, or FetchFailed (later).
    """
    deadline = monotonic() + limits.seconds
    for _ in range(REDIRECTS + 1):
        answer = _get(client, url, limits, deadline)
        if isinstance(answer, bytes):
            return answer
        url = urljoin(url, answer)
    raise NotFetched(f"The link redirects more than {REDIRECTS} times.")


def _get(client: httpx.Client, url: str, limits: Limits, deadline: float) -> bytes | str:
    """The content, or where the server sends us instead."""
    parts = _checked(url, limits.private)
    address = public_address(parts.hostname or "", parts.port or 443, limits.private)
    host = f"[{address}]" if ":" in address else address
    target = parts._replace(netloc=f"{host}:{parts.port}" if parts.port else host).geturl()
    request = client.build_request(
        "GET", target, headers={"Host": parts.netloc}, extensions={"sni_hostname": parts.hostname}
    )
    try:
        response = client.send(request, stream=True)
        try:
            if response.is_redirect:
                return response.headers["Location"]
            _check_status(response.status_code)
            return _content(response, limits, deadline)
        finally:
            response.close()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise FetchFailed(f"The link could not be fetched: {error}") from error


def _checked(url: str, private: bool) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises ValueError for a port that is none
    except ValueError as error:
        raise FetchRefused(f"This is not a link: {error}") from error
    if parts.scheme not in (("https", "http") if private else ("https",)):
        raise FetchRefused("Links must begin with https://.")
    if not parts.hostname or parts.username or parts.password:
        raise FetchRefused("Links must name a host and carry no password.")
    return parts


def public_address(host: str, port: int, private: bool = False) -> str:
    """The first address of a host, if all its addresses are public. Raises FetchRefused or FetchFailed."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
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


def _content(response: httpx.Response, limits: Limits, deadline: float) -> bytes:
    content = bytearray()
    for chunk in response.iter_bytes():
        content += chunk
        if len(content) > limits.bytes:
            raise TooLarge(f"The image has more than {limits.bytes:,} bytes.")
        if monotonic() > deadline:
            raise FetchFailed(f"The image did not arrive within {limits.seconds:g} seconds.")
    return bytes(content)
