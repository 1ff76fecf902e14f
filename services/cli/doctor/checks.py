"""The list of all checks, each with its remedy."""

from pydantic import SecretStr

from services.cli.doctor import machine, science, servers
from services.cli.doctor.check import Check
from shared.settings import LocalSettings, Settings

REINSTALL = "Install again: make install, or pip install -e '.[all]' -c constraints.txt"


def checks(local: LocalSettings) -> list[Check]:
    """In the order in which one thing stands on another."""
    # The addresses are those of nothing: what is asked of these settings is everything else.
    nowhere = SecretStr("")
    configured = Settings(database_url=nowhere, broker_url=nowhere, storage_url="")
    model = configured.ollama_model
    return [
        Check("Python", machine.python, "Install Python 3.11 or newer and set facemem up again."),
        Check("packages", machine.packages, REINSTALL),
        Check("disk", lambda: machine.disk(local), "Make room, or set FACEMEM_HOME to a folder on another disk."),
        Check(
            "PostgreSQL", lambda: servers.postgres(local), f"{REINSTALL}; or set FACEMEM_DATABASE_URL to one that runs."
        ),
        Check("Redis", lambda: servers.broker(local), f"{REINSTALL}; or set FACEMEM_BROKER_URL to one that runs."),
        Check("torch", lambda: science.device(configured), f"{REINSTALL}; or set FACEMEM_DEVICE=cpu."),
        Check("face detector", lambda: science.detector(configured), REINSTALL),
        Check("text encoder", lambda: science.text_encoder(configured), REINSTALL),
        Check(
            "model bundle",
            lambda: science.bundle(configured),
            "Set FACEMEM_BUNDLE to a bundle that `facemem models` lists.",
        ),
        Check(
            "Ollama",
            lambda: servers.ollama(configured),
            f"For its captions: ollama serve, then ollama pull {model}.",
            optional=True,
        ),
        Check(
            "ports",
            lambda: machine.ports(configured),
            "facemem takes other ports; `facemem up` says which.",
            optional=True,
        ),
        Check("running system", lambda: servers.system(local), "facemem up", optional=True),
    ]
