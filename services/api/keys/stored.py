"""The rows of keys: made, found by what a client presents, listed and revoked. The key itself is kept nowhere."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from datetime import timedelta
from http import HTTPStatus
from uuid import UUID, uuid4

from sqlalchemy import Connection, Row, func, insert, literal, select, tuple_, update
from sqlalchemy.orm import aliased

from services.api.problems import NotFound, RequestError
from services.api.scopes import Scope
from shared.database.tables import ApiKey
from shared.jobs import audit

# fm_ and 8 signs are the prefix that finds it; the 43 signs behind it are 256 random bits.
FORM = re.compile(r"(fm_[a-z0-9]{8})_[A-Za-z0-9_-]{43}", re.ASCII)
PREFIX_SIGNS = "abcdefghijklmnopqrstuvwxyz0123456789"
PREFIX_LENGTH = 8
SECRET_BYTES = 32
# So that a script gone wild fills neither the table nor a list; nobody needs more at a time.
MOST_KEYS = 1000

FACTS = (
    ApiKey.id,
    ApiKey.tenant,
    ApiKey.name,
    ApiKey.prefix,
    ApiKey.scopes,
    ApiKey.created_at,
    ApiKey.expires_at,
    ApiKey.revoked_at,
    ApiKey.last_used_at,
    func.coalesce(ApiKey.expires_at <= func.now(), False).label("expired"),
)


class TooManyKeys(RequestError):
    """This tenant has as many keys as it may have. Revoke those that nobody uses."""

    code = "too_many_keys"
    status = HTTPStatus.CONFLICT


def create(
    connection: Connection, tenant: str, actor: str, name: str, scopes: Sequence[Scope], expires_in: int | None
) -> tuple[str, Row]:
    """Makes a key; `expires_in` is in seconds. Returns the key, which can never be had again, and its row."""
    live = (ApiKey.revoked_at.is_(None), func.coalesce(ApiKey.expires_at > func.now(), True))
    there = connection.scalar(select(func.count()).where(ApiKey.tenant == tenant, *live)) or 0
    if there >= MOST_KEYS:
        raise TooManyKeys(
            f"Tenant {tenant} has {there:,} keys already; revoke those that nobody uses.",
            limit="max_keys",
            maximum=MOST_KEYS,
        )
    prefix = "fm_" + "".join(secrets.choice(PREFIX_SIGNS) for _ in range(PREFIX_LENGTH))
    key = f"{prefix}_{secrets.token_urlsafe(SECRET_BYTES)}"
    values = {
        "id": uuid4(),
        "tenant": tenant,
        "name": name,
        "prefix": prefix,
        "digest": _digest(key),
        "scopes": sorted(set(scopes), key=list(Scope).index),
        "expires_at": None if expires_in is None else func.now() + timedelta(seconds=expires_in),
    }
    row = connection.execute(insert(ApiKey).values(values).returning(*FACTS)).one()
    audit.record(connection, tenant, actor, "key.created", str(row.id), prefix=prefix, scopes=row.scopes)
    return key, row


def find(connection: Connection, presented: str) -> Row | None:
    """The row of a key that may be used now, or None; whoever asks cannot tell by the time it takes how wrong it is.

    Notes that it was used, once in a minute.
    """
    match = FORM.fullmatch(presented)
    if match is None:
        return None
    this_minute = func.date_trunc("minute", func.now())
    unnoted = func.coalesce(ApiKey.last_used_at < this_minute, True).label("unnoted")
    row = connection.execute(select(*FACTS, ApiKey.digest, unnoted).where(ApiKey.prefix == match[1])).one_or_none()
    if row is None or not hmac.compare_digest(row.digest, _digest(presented)):
        return None
    if row.expired or row.revoked_at is not None:
        return None
    if row.unnoted:
        connection.execute(update(ApiKey).where(ApiKey.id == row.id).values(last_used_at=this_minute))
    return row


def listed(connection: Connection, tenant: str | None, after: UUID | None, limit: int) -> Sequence[Row]:
    """The keys of a tenant (None: of all), the newest first, from behind the key with the id `after`."""
    query = select(*FACTS).order_by(ApiKey.created_at.desc(), ApiKey.id.desc()).limit(limit)
    if tenant is not None:
        query = query.where(ApiKey.tenant == tenant)
    if after is not None:
        other = aliased(ApiKey)
        last = (select(column).where(other.id == after).scalar_subquery() for column in (other.created_at, other.id))
        query = query.where(tuple_(ApiKey.created_at, ApiKey.id) < tuple_(*last))
    return connection.execute(query).all()


def revoke(connection: Connection, tenant: str | None, actor: str, key: UUID | str) -> Row:
    """Revokes the key with that id, or that prefix, for ever; of any tenant if that is None. Raises NotFound."""
    named = ApiKey.id == key if isinstance(key, UUID) else ApiKey.prefix == key
    mine = literal(True) if tenant is None else ApiKey.tenant == tenant
    ended = connection.execute(
        update(ApiKey).where(named, mine, ApiKey.revoked_at.is_(None)).values(revoked_at=func.now()).returning(*FACTS)
    ).one_or_none()
    if ended is not None:
        audit.record(connection, ended.tenant, actor, "key.revoked", str(ended.id), prefix=ended.prefix)
        return ended
    before = connection.execute(select(*FACTS).where(named, mine)).one_or_none()
    if before is None:
        raise NotFound(f"There is no key {key}.")
    return before


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
