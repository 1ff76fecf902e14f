"""What a web page may not do to a service without keys through the browser of somebody on this machine.

Where no key is asked for, the browser is what stands between any web page and the pictures. Two tricks get a page past
it: a name of its own that it lets point to this machine (`Host` is that name then), and forms or images that lead here
(`Origin` or `Sec-Fetch-Site` tell of another site). A request with a key needs neither check: no page can send it for
somebody else.
"""

import ipaddress
from http import HTTPStatus
from urllib.parse import urlsplit

from flask import Request

from services.api.problems import RequestError
from shared.settings import Settings

STRANGERS = ("cross-site", "same-site")


class HostRefused(RequestError):
    """This service asks for no key, so it answers only under an address, `localhost`, or a name that it was told.

    Use one of those, list the name in FACEMEM_API_NAMES, or send a key.
    """

    code = "host_refused"
    status = HTTPStatus.FORBIDDEN


class SiteRefused(RequestError):
    """This service asks for no key, so web pages of other sites may not use it. Send a key."""

    code = "site_refused"
    status = HTTPStatus.FORBIDDEN


def check(request: Request, settings: Settings) -> None:
    """Raises HostRefused or SiteRefused. For requests without a key."""
    if not _ours(request.headers.get("Host", ""), settings):
        raise HostRefused
    origin = request.headers.get("Origin")
    if origin is not None and not _same(origin, request.headers.get("Host", "")):
        raise SiteRefused
    followed_link = request.method == "GET" and request.headers.get("Sec-Fetch-Mode") == "navigate"
    if request.headers.get("Sec-Fetch-Site") in STRANGERS and not followed_link:
        raise SiteRefused


def _ours(host: str, settings: Settings) -> bool:
    """Whether nobody can make this name point here who should not. An address is no name: nobody can redirect it."""
    name = _name(host)
    if name is None:
        return False
    if name == "localhost" or name.endswith(".localhost") or name in settings.api_names:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _name(host: str) -> str | None:
    """The host of a Host header, without its port; None if it makes no sense."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # a port that is none raises
        return None if parts.path or parts.query or parts.fragment or parts.username else parts.hostname
    except ValueError:
        return None


def _same(origin: str, host: str) -> bool:
    """Whether a page of that origin came from us. `null` is anybody's: a sandboxed frame, a local file."""
    try:
        return urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False
