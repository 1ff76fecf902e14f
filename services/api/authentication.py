"""Who a request is from, and whether it may do that: looked at before anything else of it is read."""

from http import HTTPStatus

from flask import Flask, Request, g, request

from services.api import browsers
from services.api.caller import OPEN, Caller
from services.api.keys import stored
from services.api.parts import parts
from services.api.problems import RequestError
from services.api.scopes import Scope
from shared.access import keys_required

# Answered to anybody: whether it lives, what it is, and what a signed link of its own leads to.
PUBLIC = frozenset(
    {"/", "/page/<path:file>", "/samples", "/samples/<name>", "/healthz", "/readyz", "/openapi.json"}
    | {"/v1/uploads/<uuid:upload_id>/content"}
)
PUBLIC_FOLDER = "/docs"
SAFE = ("GET", "HEAD")

# What a request needs, where its method does not say it. None: any key. The longest beginning that fits counts.
SCOPES: dict[str, Scope | None] = {
    "/v1/compare": Scope.READ,
    "/v1/keys": Scope.ADMIN,
    "/v1/webhooks": Scope.ADMIN,
    "/v1/audit": Scope.ADMIN,
    "/v1/system": Scope.ADMIN,
    "/v1/tenant": None,
    "/v1/limits": None,
}


class KeyMissing(RequestError):
    """This service asks for a key: send the header `Authorization: Bearer fm_...`.

    `facemem keys create`, or `python -m services.api.keys create` where the API runs, makes one.
    """

    code = "key_missing"
    status = HTTPStatus.UNAUTHORIZED
    headers = {"WWW-Authenticate": 'Bearer realm="facemem"'}  # noqa: RUF012


class KeyInvalid(RequestError):
    """This key is not known here, or not any more: it may have expired, or been revoked."""

    code = "key_invalid"
    status = HTTPStatus.UNAUTHORIZED
    headers = {"WWW-Authenticate": 'Bearer realm="facemem", error="invalid_token"'}  # noqa: RUF012


class ScopeMissing(RequestError):
    """The key does not allow this."""

    code = "scope_missing"
    status = HTTPStatus.FORBIDDEN

    def __init__(self, scope: Scope) -> None:
        super().__init__(f"The key does not allow this; it would need the scope '{scope}'.")
        self.headers = {
            "WWW-Authenticate": f'Bearer realm="facemem", error="insufficient_scope", scope="{scope}"',
        }


def is_public(rule: str) -> bool:
    """Whether requests to this rule of the URL map need no key."""
    return rule in PUBLIC or rule == PUBLIC_FOLDER or rule.startswith(f"{PUBLIC_FOLDER}/")


def scope_needed(rule: str, method: str) -> Scope | None:
    """The scope that a request needs; None: any key will do."""
    exceptions = [beginning for beginning in SCOPES if rule == beginning or rule.startswith(f"{beginning}/")]
    if exceptions:
        return SCOPES[max(exceptions, key=len)]
    if method == "OPTIONS":
        return None
    if method in SAFE:
        return Scope.READ
    return Scope.DELETE if method == "DELETE" else Scope.SUBMIT


def register(app: Flask) -> None:
    """Let every request be looked at first."""

    @app.before_request
    def authenticate() -> None:
        rule = request.url_rule.rule if request.url_rule is not None else None
        if rule is not None and is_public(rule):
            return
        g.caller = _identified(request)
        # What is not there is told as such, by whoever answers; no scope helps.
        needed = None if rule is None else scope_needed(rule, request.method)
        if needed is not None and needed not in g.caller.scopes:
            raise ScopeMissing(needed)


def _identified(asked: Request) -> Caller:
    """Raises KeyMissing, KeyInvalid, and what `browsers.check` raises."""
    ours = parts()
    scheme, _, presented = asked.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        if keys_required(ours.settings):
            raise KeyMissing
        browsers.check(asked, ours.settings)
        return OPEN
    with ours.database.begin() as connection:
        key = stored.find(connection, presented.strip())
    if key is None:
        raise KeyInvalid
    return Caller(key.tenant, key.prefix, frozenset(map(Scope, key.scopes)))
