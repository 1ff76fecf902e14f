"""The real API over HTTP, without workers: jobs are accepted and stay where they are."""

import threading
from collections.abc import Iterator

import pytest
from werkzeug.serving import make_server

from services.api.factory import create_app
from shared.settings import Settings


@pytest.fixture
def api_url(database_url: str, broker_url: str, storage_folder_url: str) -> Iterator[str]:
    settings = Settings(
        database_url=database_url,
        broker_url=broker_url,
        storage_url=storage_folder_url,
        max_images_per_job=300,
        max_file_bytes=1_000_000,
    )
    app = create_app(settings)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    app.extensions["facemem"].database.dispose()
