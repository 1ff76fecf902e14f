"""Sending one event to one address, signed by the Standard Webhooks specification. Knows no database."""

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import monotonic, time
from typing import Any

import httpx

from shared import outgoing
from shared.errors import FacememError

SECRET_PREFIX = "whsec_"  # noqa: S105  # how every secret begins


@dataclass(frozen=True)
class Answer:
    """What an address made of an event.

    status: None if there was no answer. error: None if it counts as delivered. retry_after: seconds that it asked for.
    """

    status: int | None
    error: str | None
    milliseconds: int
    retry_after: float = 0


@dataclass(frozen=True)
class Letter:
    """An event on its way: its id, to where, signed with which secret."""

    id: str
    url: str
    secret: str
    payload: dict[str, Any]


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """What the header `webhook-signature` says: HMAC-SHA256 over id, time and body, in the version called v1."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def post(letter: Letter, seconds: float, private: bool, trust: ssl.SSLContext) -> Answer:
    """Send an event once, within so many seconds in all. Never raises: whatever goes wrong is the answer."""
    began = monotonic()
    status, error, retry_after = None, None, 0.0
    try:
        response = asyncio.run(_sent(letter, seconds, private, trust))
        status = response.status_code
        if not response.is_success:
            error, retry_after = f"The address answered {status}.", _retry_after(response)
    except TimeoutError:
        error = f"The address did not answer within {seconds:g} seconds."
    except FacememError as refused:
        error = refused.detail
    # Mostly httpx.HTTPError and OSError. An event comes to its end also where its address breaks something else.
    except Exception as broken:
        error = FacememError(f"The address could not be reached: {str(broken) or type(broken).__name__}").detail
    return Answer(status, error, round((monotonic() - began) * 1000), retry_after)


async def _sent(letter: Letter, seconds: float, private: bool, trust: ssl.SSLContext) -> httpx.Response:
    """The answer without its body, which nobody asked for and of which nothing is read."""
    body = json.dumps(letter.payload, ensure_ascii=False, separators=(",", ":")).encode()
    timestamp = int(time())
    headers = {
        "Content-Type": "application/json",
        "webhook-id": letter.id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(letter.secret, letter.id, timestamp, body),
    }
    async with asyncio.timeout(seconds), outgoing.open_client({}, trust) as client:
        request = await outgoing.checked_request(client, "POST", httpx.URL(letter.url), private, body, headers)
        response = await client.send(request, stream=True)
        await response.aclose()
        return response


def _retry_after(response: httpx.Response) -> float:
    """Seconds that the header asks to wait, as a number or as a date; 0 if it asks for nothing that can be read."""
    asked = response.headers.get("Retry-After", "")
    try:
        if asked.isascii() and asked.isdigit():
            return float(asked)
        at = parsedate_to_datetime(asked)
        return max((at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return 0.0
