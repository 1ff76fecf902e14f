"""Which links facemem follows and sends to: https, to public addresses only.

A link comes from a client, and leads where this machine can reach more than the client can. So the host of a link is
resolved once, every address that it has must be public, and the connection goes to the address that was checked: a name
server that changes its mind gets nothing.
"""

import asyncio
import ipaddress
import socket

from shared.errors import FetchFailed, FetchRefused

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

# Where the public internet is: all of IPv4 but what `is_global` excludes, and the only part of IPv6 that is given out
# (IANA's registry, RFC 4291): the rest are local networks, multicast, or IPv4 addresses in another notation.
GIVEN_OUT = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("2000::/3"))
# What lies in there and yet leads elsewhere, though `is_global` may call it public.
CLOSED = (
    ipaddress.ip_network("192.0.0.0/24"),  # protocols of the local network (RFC 6890)
    ipaddress.ip_network("192.88.99.0/24"),  # the nearest relay between IPv6 and IPv4 (RFC 7526)
    ipaddress.ip_network("168.63.129.16/32"),  # Azure's own services, seen from each of its machines
    ipaddress.ip_network("2001::/23"),  # protocols, Teredo's tunnels to IPv4 addresses among them (RFC 2928, 4380)
    ipaddress.ip_network("2002::/16"),  # IPv4 addresses, reached through a relay (6to4, RFC 3056)
    ipaddress.ip_network("3fff::/20"),  # documentation (RFC 9637)
)
# Names that are set aside for them: RFC 6761, 6762 and 8375, and ICANN's decision on `.internal`.
LOCAL_NAMES = (".localhost", ".local", ".internal", ".home.arpa")


def check_link(scheme: str, host: str | None, port: int | None, password: bool, private: bool) -> None:
    """Raises FetchRefused for a link that cannot be followed, wherever its host is.

    password: whether the link carries a user or password. private: whether http and private addresses are allowed:
    for tests and intranets only.
    """
    if scheme not in (("https", "http") if private else ("https",)):
        raise FetchRefused("Links must begin with https://.")
    if not host or password:
        raise FetchRefused("Links must name a host and carry no password.")
    if port is not None and not 0 < port < 2**16:
        raise FetchRefused(f"There is no port {port}.")


def check_written(host: str, private: bool) -> None:
    """Raises FetchRefused for a host that cannot be public as it is written: an address, in any notation, or a name
    that is set aside for local machines. No name is looked up: others are judged by their addresses when used.
    """
    bare = host.strip("[]").rstrip(".").lower()
    if not private and f".{bare}".endswith(LOCAL_NAMES):
        raise FetchRefused(f"The host {host!r} is a name for machines that are not public.")
    try:
        found = socket.getaddrinfo(bare, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return
    _check_public(host, [str(entry[4][0]) for entry in found], private)


async def public_address(host: str, port: int, private: bool = False) -> str:
    """The first address of a host, if all its addresses are public. Raises FetchRefused or FetchFailed."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise FetchFailed(f"The host {host!r} is not known: {error}") from error
    addresses = [str(entry[4][0]) for entry in found]
    _check_public(host, addresses, private)
    return addresses[0]


def is_public(address: str) -> bool:
    """Whether an IP address can only be reached through the public internet. Raises ValueError for other text."""
    ip = ipaddress.ip_address(address)
    given_out = any(_within(ip, network) for network in GIVEN_OUT)
    closed = any(_within(ip, network) for network in CLOSED)
    return given_out and not closed and ip.is_global and not ip.is_multicast


def _within(ip: IPAddress, network: IPNetwork) -> bool:
    return ip.version == network.version and ip in network


def _check_public(host: str, addresses: list[str], private: bool) -> None:
    if not private and not all(is_public(address) for address in addresses):
        raise FetchRefused(f"The host {host!r} has an address that is not public.")
