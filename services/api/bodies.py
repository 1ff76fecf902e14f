"""Bodies that are small and JSON, which is all but what carries images: bounded, and refused with a clear word."""

from flask import Flask, request

from services.api.problems import RequestError, UnsupportedMedia

# A thousand announced uploads are the largest; nothing else comes near.
MOST_JSON_BYTES = 4 * 1024 * 1024
# These read their bodies as streams, with limits of their own.
STREAMED = frozenset({"/v1/jobs", "/v1/uploads/<uuid:upload_id>/content"})


class InvalidJson(RequestError):
    """The body is not JSON, or nested too deeply."""

    code = "invalid_json"


def register(app: Flask) -> None:
    """Let every body that is to be JSON be read before it is validated."""

    @app.before_request
    def read_json() -> None:
        if request.url_rule is None or request.url_rule.rule in STREAMED:
            return
        request.max_content_length = MOST_JSON_BYTES
        if not request.content_length and not request.headers.get("Transfer-Encoding"):
            return
        if not request.is_json:
            raise UnsupportedMedia("Send JSON, as application/json.")
        body = request.get_data()  # too many bytes have an answer of their own
        try:
            if body:
                app.json.loads(body)
        except (ValueError, RecursionError) as error:
            raise InvalidJson from error
