"""What every answer tells browsers: that it is data and no page, nobody's frame, and nothing to keep or pass on.

Two pages run scripts, those that this service sends as files: the one for people, and the one that shows the API's
document, which has some in itself, whose hashes are told. Whether the way here is https only, whoever ends TLS in
front has to say.
"""

import re
from base64 import b64encode
from hashlib import sha256
from urllib.parse import urlsplit

from flask import Flask, Response, request

from services.api.parts import parts
from shared.images.formats import JPEG

NOTHING = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
# It shows pictures that it fetched from memory, and puts files straight into storage.
WEB = f"{NOTHING}; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self' {{storage}}"
WEB_VIEW = "web.front"
# It draws with styles of its own making, which can reach nobody; pictures that it fetched it shows from memory.
PAGE = (
    f"{NOTHING}; script-src 'self' {{scripts}}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'"
)
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# What does not say otherwise is about people: nobody on the way keeps it.
CACHING = "no-store"
# The view of the package that shows the document.
PAGE_VIEW = "swagger.swagger"

_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def register(app: Flask) -> None:
    """Let every answer carry them. To be registered first: what is added first is done last, when all else is known."""
    page_policy = _page_policy(app)
    policies = {PAGE_VIEW: lambda: page_policy, WEB_VIEW: lambda: WEB.format(storage=_storage()).strip()}

    @app.after_request
    def tell(answer: Response) -> Response:
        answer.headers["Content-Security-Policy"] = policies.get(request.endpoint or "", lambda: NOTHING)()
        answer.headers.update(ALWAYS)
        answer.headers.setdefault("Cache-Control", CACHING)
        return answer


def _storage() -> str:
    """Where clients send files straight to: scheme, host and port; nothing where that is this service itself."""
    url = parts().objects.grant("uploads/any", 1, JPEG, 1.0).url
    return "{0.scheme}://{0.netloc}".format(urlsplit(url)) if url else ""


def _page_policy(app: Flask) -> str:
    """What the page needs, made from it as the package has it: nothing in a request can add to that."""
    with app.test_request_context():
        page = str(app.view_functions[PAGE_VIEW]())
    return PAGE.format(scripts=" ".join(map(_hashed, _SCRIPT.findall(page))))


def _hashed(content: str) -> str:
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"
