"""What every answer tells browsers: that it is data and no page, nobody's frame, and nothing to keep or pass on.

Only the page that shows the API's document runs scripts: those that this service sends as files, and of those in the
page itself the ones whose hashes are told. Whether the way here is https only, whoever ends TLS in front has to say.
"""

import re
from base64 import b64encode
from hashlib import sha256

from flask import Flask, Response, request

NOTHING = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
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

    @app.after_request
    def tell(answer: Response) -> Response:
        answer.headers["Content-Security-Policy"] = page_policy if request.endpoint == PAGE_VIEW else NOTHING
        answer.headers.update(ALWAYS)
        answer.headers.setdefault("Cache-Control", CACHING)
        return answer


def _page_policy(app: Flask) -> str:
    """What the page needs, made from it as the package has it: nothing in a request can add to that."""
    with app.test_request_context():
        page = str(app.view_functions[PAGE_VIEW]())
    return PAGE.format(scripts=" ".join(map(_hashed, _SCRIPT.findall(page))))


def _hashed(content: str) -> str:
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"
