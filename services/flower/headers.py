"""Headers of all that Flower answers, as the API has them: nothing from elsewhere is loaded, run, or put around it."""

import base64
import hashlib

from tornado.httputil import HTTPHeaders
from tornado.web import OutputTransform

# The one script that stands in a page of Flower's itself. A test in a browser tells when a version has another.
INLINE = b"\nvar autorefresh = 1;\n"
_DIGEST = base64.b64encode(hashlib.sha256(INLINE).digest()).decode()
# Its tables give their columns widths by themselves, as styles.
POLICY = (
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; connect-src 'self'; "
    "font-src 'self'; "
    f"img-src 'self' data:; style-src 'self' 'unsafe-inline'; script-src 'self' 'sha256-{_DIGEST}'"
)
ALWAYS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guarded(OutputTransform):
    """Adds them to whatever is answered, errors and files too."""

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, _finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        headers.update(ALWAYS)
        return status_code, headers, chunk
