"""The machine: Python, packages, disks, ports, and whether it confines what decodes strangers' files."""

import importlib
import io
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from services.cli.doctor.check import Missing
from shared.settings import LocalSettings, Settings

PYTHON = (3, 11)
GIGABYTE = 10**9
ROOM = 2 * GIGABYTE  # for the database, its log of writes and some thousand photos
TEMPORARY_ROOM = GIGABYTE  # for submissions that arrive and archives that are unpacked
# One import name for each package that facemem stands on.
PACKAGES = (
    *("alembic", "boto3", "celery", "httpx", "numpy", "PIL", "psycopg", "pydantic", "redis", "safetensors"),
    *("sqlalchemy", "structlog", "flask", "flask_openapi3", "granian", "flower", "ollama"),
    *("torch", "torchvision", "facenet_pytorch", "transformers", "scipy"),
)


def python() -> str:
    if sys.version_info < PYTHON:
        raise Missing(f"Python {platform.python_version()}")
    return f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"


def packages() -> str:
    from shared.faces.torchvision_ops import allow_cpu_torch

    allow_cpu_torch()  # as the workers do, before torchvision is imported
    broken = [f"{name} ({error})" for name in PACKAGES if (error := _import_error(name))]
    if broken:
        raise Missing(", ".join(broken))
    return f"all {len(PACKAGES)} import"


def _import_error(name: str) -> str:
    try:
        importlib.import_module(name)
    except Exception as error:  # A package that is there and broken raises what it likes.
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return ""


def disk(local: LocalSettings) -> str:
    folder = local.home
    while not folder.exists():
        folder = folder.parent
    return _free(folder, ROOM, local.home)


def temporary() -> str:
    folder = Path(tempfile.gettempdir())
    return _free(folder, TEMPORARY_ROOM, folder)


def _free(folder: Path, wanted: int, called: Path) -> str:
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise Missing(f"{free / GIGABYTE:.1f} GB free at {called}")
    return f"{free / GIGABYTE:.0f} GB free at {called}"


def sandbox(configured: Settings, module: str = "shared.images.decoder") -> str:
    """A process that has given its rights away decodes a picture. It does not start where it cannot give them away."""
    from PIL import Image

    from shared.images.decoders import Decoders

    picture = io.BytesIO()
    Image.new("RGB", (64, 48), "gray").save(picture, "PNG")
    with Decoders(configured.max_pixels, module=module) as decoders:
        decoded = decoders.decode(picture.getvalue(), max_pixels=configured.max_pixels)
    if decoded.pixels.shape != (48, 64, 3):
        raise Missing(f"a picture of 64 x 48 came back as {decoded.pixels.shape}")
    return "pictures are decoded in a process without files and network"


def ports(configured: Settings) -> str:
    from services.local.redis import free_port

    wanted = ((configured.api_host, configured.api_port), (configured.flower_host, configured.flower_port))
    taken = [str(port) for host, port in wanted if free_port(host, port) != port and port]
    if taken:
        raise Missing(f"{' and '.join(taken)} in use")
    return " and ".join(str(port) for _, port in wanted) + " are free"
