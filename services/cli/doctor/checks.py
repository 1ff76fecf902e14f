"""The list of all checks, each with its remedy."""

from collections.abc import Callable
from importlib import import_module

from pydantic import SecretStr

from services.cli.doctor.check import Check
from shared.settings import LocalSettings, Settings

INSTALL = "Install again: make install, or pip install -e '.[all]' -c constraints.txt"


def checks(local: LocalSettings) -> list[Check]:
    """In the order in which one thing stands on another."""
    # The addresses are those of nothing: what is asked of these settings is everything else.
    nowhere = SecretStr("")
    configured = Settings(database_url=nowhere, broker_url=nowhere, storage_url="")
    model = configured.ollama_model
    return [
        Check("Python", _later("machine", "python"), "Install Python 3.11 or newer and set facemem up again."),
        Check("packages", _later("machine", "packages"), INSTALL),
        Check("disk", _later("machine", "disk", local), "Make room, or set FACEMEM_HOME to a folder on another disk."),
        Check("PostgreSQL", _later("servers", "postgres", local), f"{INSTALL}; or name one in FACEMEM_DATABASE_URL."),
        Check("Redis", _later("servers", "broker", local), f"{INSTALL}; or name one in FACEMEM_BROKER_URL."),
        Check("torch", _later("science", "device", configured), f"{INSTALL}; or set FACEMEM_DEVICE=cpu."),
        Check("face detector", _later("science", "detector", configured), INSTALL),
        Check("text encoder", _later("science", "text_encoder", configured, local), INSTALL),
        Check(
            "bundle",
            _later("science", "bundle", configured, local),
            "Choose one of `facemem models`: facemem models use NAME",
        ),
        Check(
            "Ollama", _later("servers", "ollama", configured), f"For its captions: ollama pull {model}", optional=True
        ),
        Check(
            "ports", _later("machine", "ports", configured), "Others are taken; facemem up says which.", optional=True
        ),
        Check("running system", _later("servers", "system", local), "Start it: facemem up", optional=True),
    ]


def _later(module: str, name: str, *settings: Settings | LocalSettings) -> Callable[[], str]:
    """Imported when it is tried and not before: that it cannot be imported may be what is wrong."""
    return lambda: str(getattr(import_module(f"services.cli.doctor.{module}"), name)(*settings))
