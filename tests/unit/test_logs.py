"""Logs: one event a line with its fields, and no secret in a traceback."""

import json
import subprocess
import sys

import pytest

BREAKS = """
import structlog
from shared import logs
from shared.settings import Settings

logs.configure(Settings(database_url="x", broker_url="x", storage_url="x", log_format="{form}"), "test")
log = structlog.get_logger()
log.info("batch_done", stage="detection", images=16)

def connect():
    password = "secret-" + "word"
    raise ValueError("no")

try:
    connect()
except ValueError:
    log.exception("it_broke")
"""


@pytest.mark.parametrize("form", ["text", "json"])
def test_tracebacks_show_no_local_variables(form: str) -> None:
    code = BREAKS.format(form=form)
    logged = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr
    assert "ValueError" in logged
    assert "secret-word" not in logged
    assert "detection" in logged
    if form == "json":
        lines = [json.loads(line) for line in logged.splitlines()]
        assert [line["event"] for line in lines] == ["batch_done", "it_broke"]
        assert lines[0]["images"] == 16


ASKS = """
import logging
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
from shared import logs
from shared.settings import Settings

class Nothing(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(404)

    def log_message(self, *args):
        pass

logs.configure(Settings(database_url="x", broker_url="x", storage_url="x", log_level="debug"), "test")
server = HTTPServer(("127.0.0.1", 0), Nothing)
threading.Thread(target=server.serve_forever, daemon=True).start()
httpx.get(f"http://127.0.0.1:{server.server_port}/portrait-of-ada.jpg?signature=abc")
logging.getLogger("facemem").info("asked")
server.shutdown()
"""


def test_links_are_not_logged() -> None:
    """They have file names of photographs in them, and would outlive their job."""
    logged = subprocess.run([sys.executable, "-c", ASKS], capture_output=True, text=True, check=True).stderr
    assert "asked" in logged
    assert "portrait-of-ada" not in logged
    assert "signature" not in logged
