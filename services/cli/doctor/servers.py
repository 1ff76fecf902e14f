"""The servers: PostgreSQL, Redis, Ollama, and a facemem that runs."""

import tempfile
from pathlib import Path

import httpx
import psycopg
import redis
from sqlalchemy import create_engine, text

from services.cli.doctor.check import Degraded, Missing
from services.local.folder import running
from services.local.postgres import USER, Postgres, socket_folder
from services.local.redis import Redis
from services.local.supervisor import Supervisor
from shared.settings import LocalSettings, Settings

SECONDS = 5.0
OLLAMA_VERSION = "0.24.0"  # as in docker-compose.yml
AWAY = (
    "Start it again: facemem up; docker compose up -d; kubectl rollout restart deployment/api. If it does not stay, "
    "the end of its log says why. If it runs, look at what lies between: the address, a proxy, a firewall."
)
CANNOT_LOAD = "llama3.2-vision"  # newer ones, this model


def postgres(local: LocalSettings) -> str:
    """The one that is named answers; or one of our own starts in a temporary folder and answers."""
    if local.database_url is not None:
        engine = create_engine(local.database_url.get_secret_value())
        with engine.connect() as connection:
            return f"PostgreSQL {connection.execute(text('show server_version')).scalar_one()} answers"
    with tempfile.TemporaryDirectory(prefix="facemem-doctor-") as name, Supervisor() as supervisor:
        folder = Path(name)
        server = Postgres(folder / "cluster", socket_folder(folder / "sockets"), folder / "postgres.log")
        server.start(supervisor)
        with psycopg.connect(host=str(server.sockets), user=USER, dbname="postgres") as connection:
            version = connection.info.parameter_status("server_version")
        return f"PostgreSQL {version} starts and answers"


def broker(local: LocalSettings) -> str:
    """The one that is named answers; or one of our own starts in a temporary folder and answers."""
    if local.broker_url is not None:
        return f"Redis {_ping(local.broker_url.get_secret_value())} answers"
    with tempfile.TemporaryDirectory(prefix="facemem-doctor-") as name, Supervisor() as supervisor:
        server = Redis(Path(name), Path(name, "redis.log"))
        version = _ping(server.start(supervisor))
        return f"Redis {version} starts and answers"


def _ping(url: str) -> str:
    with redis.Redis.from_url(url, socket_timeout=SECONDS, socket_connect_timeout=SECONDS) as client:
        client.ping()
        return str(client.info("server")["redis_version"])


def ollama(configured: Settings) -> str:
    """It answers and has the model."""
    url, model = str(configured.ollama_url).rstrip("/"), configured.ollama_model
    try:
        tags = httpx.get(f"{url}/api/tags", timeout=SECONDS).json()
    except httpx.HTTPError as error:
        raise Missing(f"nothing answers at {url}; the describer writes the captions") from error
    names = [str(each["name"]) for each in tags["models"]]
    if not any(name in (model, f"{model}:latest") for name in names):
        raise Missing(f"Ollama answers but does not have {model}; the describer writes the captions")
    version = str(httpx.get(f"{url}/api/version", timeout=SECONDS).json()["version"])
    if model.startswith(CANNOT_LOAD) and version != OLLAMA_VERSION:
        raise Degraded(
            f"Ollama {version} has {model}, which facemem was tried with in version {OLLAMA_VERSION} only",
            f"Newer ones cannot load this model. Install Ollama {OLLAMA_VERSION}, or choose another model in "
            "FACEMEM_OLLAMA_MODEL.",
        )
    return f"Ollama {version} has {model}"


def system(local: LocalSettings) -> str:
    """A facemem that runs is ready, and nothing stands still in it."""
    run = running(local.home)
    url = local.api_url or (run.api_url if run else None)
    if url is None:
        raise Missing(f"none runs on {local.home}")
    try:
        health = httpx.get(f"{url.rstrip('/')}/readyz", timeout=SECONDS).json()
        status = str(health["status"])
    except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:
        raise Degraded(f"no facemem answers at {url}: {type(error).__name__}", AWAY) from error
    if status == "ok":
        return f"{url} is ready"
    degraded = health.get("degraded", [])
    wrong = [each["detail"] for each in degraded] or [
        f"{part}: {said}" for part, said in health["checks"].items() if said != "ok"
    ]
    advice = dict.fromkeys(each["advice"] for each in degraded) or ["No request is served. Its log says more."]
    raise Degraded("\n".join([f"{url} is {status}", *wrong]), "\n".join(advice))
