"""The machine: Python, packages, disk, ports."""

import importlib
import platform
import shutil
import sys

from services.cli.doctor.check import Missing
from shared.settings import LocalSettings, Settings

PYTHON = (3, 11)
GIGABYTE = 10**9
ROOM = 2 * GIGABYTE  # for the database, its log of writes and some thousand photos
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
    free = shutil.disk_usage(folder).free
    if free < ROOM:
        raise Missing(f"{free / GIGABYTE:.1f} GB free at {local.home}")
    return f"{free / GIGABYTE:.0f} GB free at {local.home}"


def ports(configured: Settings) -> str:
    from services.local.redis import free_port

    wanted = ((configured.api_host, configured.api_port), (configured.flower_host, configured.flower_port))
    taken = [str(port) for host, port in wanted if free_port(host, port) != port and port]
    if taken:
        raise Missing(f"{' and '.join(taken)} in use")
    return " and ".join(str(port) for _, port in wanted) + " are free"
