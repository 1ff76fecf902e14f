"""Which links facemem follows and sends to: https, to public addresses only.

A link comes from a client, and leads where this machine can reach more than the client can. So the host of a link is
resolved once, every address that it has must be public, and the connection goes to the address that was checked: a name
server that changes its mind gets nothing.
"""

import asyncio
import ipaddress
import socket

from shared.errors import FetchFailed, FetchRefused

# Ranges that lead to private IPv4 addresses though `is_global` calls them public: NAT64 (RFC 6052), 6to4 (RFC 3056).
TRANSLATED = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("2002::/16"))


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


def check_literal(host: str, private: bool) -> None:
    """Raises FetchRefused for a host that is written as an address, in whatever notation, which is not public.

    No name is looked up: one that leads to a private address is refused when it is used.
    """
    try:
        found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
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
    """Whether an IP address can only be reached through the public internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    translated = any(ip.version == network.version and ip in network for network in TRANSLATED)
    return ip.is_global and not ip.is_multicast and not translated


def _check_public(host: str, addresses: list[str], private: bool) -> None:
    if not private and not all(is_public(address) for address in addresses):
        raise FetchRefused(f"The host {host!r} has an address that is not public.")
