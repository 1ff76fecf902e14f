"""Submissions that may be repeated: under the same Idempotency-Key, the same submission makes one job only."""

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from uuid import UUID

from flask import Request
from sqlalchemy import Connection, text

from services.api.problems import RequestError
from shared.settings import Settings

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
MAX_KEY_LENGTH = 255
_KEY = re.compile(rf"[\x21-\x7e]{{1,{MAX_KEY_LENGTH}}}")


class InvalidKey(RequestError):
    """An Idempotency-Key has 1 to 255 visible ASCII characters. A UUID is a good one."""

    code = "idempotency_key_invalid"


class KeyReused(RequestError):
    """Another submission was made under this Idempotency-Key. Use a key of its own for each submission."""

    code = "idempotency_key_reused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True)
class Answer:
    """What a submission was answered: the text of the answer, and where its job is."""

    body: str
    location: str


def key_of(request: Request) -> str | None:
    """The key that a request carries. Raises InvalidKey."""
    key = request.headers.get(HEADER)
    if key is not None and not _KEY.fullmatch(key):
        raise InvalidKey
    return key


def earlier(connection: Connection, tenant: str, key: str, fingerprint: bytes, settings: Settings) -> Answer | None:
    """The answer that this submission was given before. Raises KeyReused if the key was used for another one.

    Until the transaction ends, others wait here that carry the same key: of two at the same time, the second sees what
    the first one was answered.
    """
    connection.execute(
        text("select pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"idempotency {tenant} {key}"}
    )
    values = {"tenant": tenant, "key": key, "hours": settings.idempotency_hours}
    connection.execute(
        text("""
            delete from idempotency
            where tenant = :tenant and key = :key and created_at < now() - make_interval(hours => :hours)
        """),
        values,
    )
    found = connection.execute(
        text("select fingerprint, answer from idempotency where tenant = :tenant and key = :key"), values
    ).one_or_none()
    if found is None:
        return None
    if found.fingerprint != fingerprint:
        raise KeyReused
    return Answer(**found.answer)


def keep(connection: Connection, tenant: str, key: str, fingerprint: bytes, job_id: UUID, answer: Answer) -> None:
    """Keep an answer, in the transaction that accepts the job. The text is kept as it was sent."""
    values: dict[str, Any] = {"tenant": tenant, "key": key, "fingerprint": fingerprint, "job": job_id}
    connection.execute(
        text("""
            insert into idempotency (tenant, key, fingerprint, job_id, answer)
            values (:tenant, :key, :fingerprint, :job,
                jsonb_build_object('body', cast(:body as text), 'location', cast(:location as text)))
        """),
        values | {"body": answer.body, "location": answer.location},
    )
