"""Who calls: the tenant whose rows a request may see, what it may do, and how it is named in the audit log."""

from dataclasses import dataclass

from flask import g

from services.api.scopes import Scope

# The tenant of a service without keys, and of every job that was submitted before there were any.
LOCAL_TENANT = "local"


@dataclass(frozen=True)
class Caller:
    """On whose behalf a request is answered.

    actor: a key's prefix, or `open` where none is asked for.
    """

    tenant: str
    actor: str
    scopes: frozenset[Scope]


OPEN = Caller(LOCAL_TENANT, "open", frozenset(Scope))


def caller() -> Caller:
    """Who makes the current request."""
    return g.get("caller", OPEN)
