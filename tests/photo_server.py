"""A web server that answers every path with what a function says is there."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def photo_server(content: Callable[[str], bytes]) -> Iterator[str]:
    """Its address, as long as the block lasts. `content` gets the path, with what follows `?`, and may be slow."""

    class Photos(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = content(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Photos)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
