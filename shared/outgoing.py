"""Requests to addresses that clients named: each goes to the address that was checked, and nowhere else."""

import ssl
from collections.abc import Mapping

import httpx

from shared.addresses import check_link, public_address

CONNECT_SECONDS = 5.0


def trusted() -> ssl.SSLContext:
    """What certificates are checked with. To be kept: reading all authorities takes longer than most requests do."""
    return httpx.create_ssl_context(trust_env=False)


def open_client(headers: Mapping[str, str], trust: ssl.SSLContext) -> httpx.AsyncClient:
    """The client that `checked_request` expects. It follows no redirect, and reads no proxy from the environment.

    No connection is kept: the pool knows them by address, and on one address another host's certificate may have been
    checked. The caller sets a deadline for everything.
    """
    return httpx.AsyncClient(
        timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
        limits=httpx.Limits(max_keepalive_connections=0),
        headers={"User-Agent": "facemem", **headers},
        trust_env=False,
        verify=trust,
    )


async def checked_request(
    client: httpx.AsyncClient,
    method: str,
    url: httpx.URL,
    private: bool,
    content: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> httpx.Request:
    """A request to the address of a link's host, for the client to send. Raises FetchRefused or FetchFailed."""
    check_link(url.scheme, url.host, url.port, bool(url.userinfo), private)
    host = url.raw_host.decode("ascii")
    address = await public_address(host, url.port or 443, private)
    return client.build_request(
        method,
        url.copy_with(host=address),
        content=content,
        headers={**(headers or {}), "Host": url.netloc.decode("ascii")},
        extensions={"sni_hostname": host},
    )
