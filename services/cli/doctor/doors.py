"""What is open: storage to us, the API and Flower to others."""

from urllib.parse import urlsplit
from uuid import uuid4

import httpx

from services.cli.doctor.check import Missing
from shared.access import is_loopback, keys_required
from shared.images.formats import JPEG
from shared.settings import Settings
from shared.storage import keys
from shared.storage.objects import open_objects

SECONDS = 5.0
CONTENT = b"The doctor was here."


def storage(configured: Settings, url: str) -> str:
    """A small object is written, read and removed."""
    objects = open_objects(configured.model_copy(update={"storage_url": url}))
    key = keys.probe(uuid4())
    objects.put(key, CONTENT)
    try:
        if objects.get(key) != CONTENT:
            raise Missing("what was read is not what was written")
    finally:
        objects.delete([key])
    if list(objects.keys(key)):
        raise Missing("what was removed is still there")
    return f"{url.partition(':')[0]} writes, reads and removes"


def uploads_of_pages(configured: Settings, url: str, api: str | None) -> str:
    """The storage lets the page in that puts files straight into it: what a browser asks beforehand, and is told."""
    granted = (
        open_objects(configured.model_copy(update={"storage_url": url})).grant(keys.probe(uuid4()), 1, JPEG, 60).url
    )
    if not granted:
        return "the page sends files to the API itself"
    if api is None:
        return "not asked: FACEMEM_API_URL does not say where the page is"
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(api))
    asking = {
        "Origin": origin,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "content-type",
    }
    try:
        told = httpx.options(granted, headers=asking, timeout=SECONDS, trust_env=False).headers
    except httpx.HTTPError as error:
        raise Missing(f"nothing answers at the storage's address for clients, {urlsplit(granted).netloc}") from error
    if told.get("access-control-allow-origin") not in ("*", origin):
        raise Missing(f"the storage does not let pages of {origin} in")
    return f"pages of {origin} may put files into the storage"


def api_keys(configured: Settings) -> str:
    """They are asked for where others than this machine can reach the API."""
    if is_loopback(configured.api_host):
        return f"the API listens to this machine only, on {configured.api_host}"
    if not keys_required(configured):
        raise Missing(f"the API listens on {configured.api_host} and asks nobody for a key")
    return f"the API listens on {configured.api_host} and asks for keys"


def flower(configured: Settings, url: str | None) -> str:
    """It answers where it runs, and asks for its password. `url` is where it is, if that is known."""
    if url is None and configured.flower_url is None:
        return "not asked: FACEMEM_FLOWER_URL does not say where it is"
    url = url or str(configured.flower_url)
    try:
        status = httpx.get(url, timeout=SECONDS, trust_env=False).status_code
    except httpx.HTTPError as error:
        raise Missing(f"nothing answers at {url}") from error
    if status == httpx.codes.OK:
        raise Missing(f"{url} shows itself to anybody, and asks for no password")
    if status != httpx.codes.UNAUTHORIZED:
        raise Missing(f"{url} answers {status}")
    return f"{url} answers, and asks for its password"
