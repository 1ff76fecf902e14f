"""The list of all checks, each with why it matters and what to do."""

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

from pydantic import SecretStr

from services.cli.doctor.check import Check
from services.cli.doctor.reached import Reached, reached
from shared.settings import LocalSettings, Settings

INSTALL = "Install again: make install, or pip install -e '.[all]' -c constraints.txt"
RESTART = "Look at its log; `facemem up` and compose start again what ended."


def checks(local: LocalSettings) -> list[Check]:
    """In the order in which one thing stands on another. What runs is looked into as far as it can be reached.

    Where the settings name a system elsewhere, they are about that one, not about what this machine could do.
    """
    # The addresses are those of nothing: what is asked of these settings is everything else.
    nowhere = SecretStr("")
    configured = Settings(database_url=nowhere, broker_url=nowhere, storage_url="")
    there = reached(local)
    return [
        *([] if there.elsewhere else _machine(local)),
        *_servers(local, there),
        *([] if there.elsewhere else _science(local, configured)),
        *([] if there.elsewhere else _own_doors(configured)),
        *_doors(configured, there),
        *_database(configured, there),
        *_broker(there),
        *_watching(configured, there),
        Check(
            "running system",
            _later("servers", "system", local),
            "Without it nothing is accepted.",
            "Start it: facemem up",
            optional=True,
        ),
    ]


def _machine(local: LocalSettings) -> Iterator[Check]:
    old = "Install Python 3.11 or newer and set facemem up again."
    yield Check("Python", _later("machine", "python"), "Older ones cannot read this code.", old)
    yield Check("packages", _later("machine", "packages"), "Processes that import them do not start.", INSTALL)
    yield Check(
        "disk",
        _later("machine", "disk", local),
        "A full disk stops the database, and with it everything.",
        "Make room, or set FACEMEM_HOME to a folder on another disk.",
    )
    yield Check(
        "temporary disk",
        _later("machine", "temporary"),
        "Submissions that arrive and archives that are unpacked lie there; without room they are refused.",
        "Make room, or set TMPDIR to a folder on another disk.",
    )


def _servers(local: LocalSettings, there: Reached) -> Iterator[Check]:
    if there.database or not there.elsewhere:
        yield Check(
            "PostgreSQL",
            _later("servers", "postgres", local),
            "It holds every job and every state: without it nothing can be served.",
            f"{INSTALL}; or name one in FACEMEM_DATABASE_URL.",
        )
    if there.broker or not there.elsewhere:
        yield Check(
            "Redis",
            _later("servers", "broker", local),
            "Workers get their messages through it: without it no new work is begun.",
            f"{INSTALL}; or name one in FACEMEM_BROKER_URL.",
        )


def _science(local: LocalSettings, configured: Settings) -> Iterator[Check]:
    yield Check(
        "decoder",
        _later("machine", "sandbox", configured),
        "Files of strangers are decoded only where they can do no harm; images wait where that is not so.",
        "Run on Linux, x86-64 or 64-bit ARM, with a kernel that has seccomp.",
    )
    unable = "Images wait before the stages that compute with it."
    yield Check("torch", _later("science", "device", configured), unable, f"{INSTALL}; or set FACEMEM_DEVICE=cpu.")
    yield Check("OpenVINO", _later("science", "openvino"), "torch finds faces, too, on a CPU slower.", INSTALL, True)
    yield Check("face detector", _later("science", "detector", configured), unable, INSTALL)
    yield Check("text encoder", _later("science", "text_encoder", configured, local), unable, INSTALL)
    choose = "Choose one of `facemem models`: facemem models use NAME"
    yield Check("bundle", _later("science", "bundle", configured, local), "Nothing is scored without it.", choose)
    yield Check(
        "bundle files",
        _later("science", "bundle_files", configured, local),
        "What is not as its digest says may be damaged, or somebody else's.",
        f"Install it again, or: {choose}",
    )
    yield Check(
        "Ollama",
        _later("servers", "ollama", configured),
        "It writes richer captions. Jobs that insist on it wait where it does not work.",
        f"For its captions: ollama pull {configured.ollama_model}",
        optional=True,
    )


def _own_doors(configured: Settings) -> Iterator[Check]:
    yield Check(
        "ports",
        _later("machine", "ports", configured),
        "facemem takes others where these are taken.",
        "facemem up says which.",
        optional=True,
    )
    yield Check(
        "API keys",
        _later("doors", "api_keys", configured),
        "Whoever reaches it sees the faces of all, and can delete them.",
        "Leave FACEMEM_KEYS at auto or set it to required, or FACEMEM_API_HOST to 127.0.0.1.",
    )


def _doors(configured: Settings, there: Reached) -> Iterator[Check]:
    yield Check(
        "Flower",
        _later("doors", "flower", configured, there.flower),
        "It shows who works on what, to people who look after the service.",
        "Look into its log: without FACEMEM_FLOWER_PASSWORD it does not start. One that is not facemem's has to go.",
    )
    if there.storage is not None:
        yield Check(
            "storage",
            _later("doors", "storage", configured, there.storage),
            "Files are refused and images wait until it works.",
            "Look at FACEMEM_STORAGE_URL and the credentials beside it, the server's log, and the disk's space.",
        )
        yield Check(
            "page's uploads",
            _later("doors", "uploads_of_pages", configured, there.storage, there.api),
            "Browsers refuse to put files into a storage that does not let the page's origin in (CORS).",
            "Allow PUT from the API's origin on the bucket: docs/operations.md, A storage of your own.",
        )


def _watching(configured: Settings, there: Reached) -> Iterator[Check]:
    if there.scrape_file is not None:
        yield Check(
            "metrics",
            _later("watching", "metrics", there.scrape_file),
            "Prometheus sees nothing of a process that does not show them, and its alerts are silent.",
            RESTART,
        )
    yield Check(
        "traces",
        _later("watching", "traces", configured),
        "Spans that nobody takes are dropped; work does not wait for them.",
        "Start the collector, or correct FACEMEM_OTLP_ENDPOINT.",
        optional=True,
    )


def _database(configured: Settings, there: Reached) -> Iterator[Check]:
    if (url := there.database) is None:
        return
    yield Check(
        "tables",
        _later("database", "tables", url),
        "Processes and tables of different versions do not understand each other.",
        "Look at FACEMEM_DATABASE_URL and the server's log.",
    )
    yield Check(
        "connections",
        _later("database", "room", url),
        "A process that gets no connection can do nothing, and its requests end with 503.",
        "Raise max_connections of PostgreSQL, or run fewer processes.",
    )
    yield Check(
        "clock",
        _later("database", "clock", url),
        "Links of storage may count as expired, and lines of logs stand in the wrong order.",
        "Let both machines take their time from a server (NTP).",
    )
    yield Check(
        "versions",
        _later("database", "versions", url),
        "Only neighbouring versions are meant to work side by side, and only during an upgrade.",
        "Start those that are old again, from the new version.",
    )
    yield Check(
        "queues",
        _later("database", "queues", url, configured),
        "Jobs take as long as their slowest stage.",
        "Start more workers of that stage; `facemem plan` says how many a deadline takes.",
        optional=True,
    )
    yield Check(
        "webhooks",
        _later("database", "webhooks", url),
        "Whoever waits for these events does not hear of them.",
        "See why: facemem webhooks list, then deliveries ID. Then turn them on again with PATCH, or delete them.",
        optional=True,
    )
    yield Check(
        "backup",
        _later("database", "backup", url),
        "A disk that breaks takes with it what no backup has.",
        "Make one: facemem backup FILE. Every night is a good rhythm: docs/upgrades.md, Backups.",
        optional=True,
    )
    if there.api is None:
        yield Check("work", _later("database", "work", url, configured), "Jobs stand still.", RESTART)


def _broker(there: Reached) -> Iterator[Check]:
    if (url := there.broker) is None:
        return
    yield Check(
        "Redis memory",
        _later("broker", "memory", url),
        "A Redis that drops keys when it is full drops messages: each costs its images some seconds or an hour.",
        "Set maxmemory-policy to noeviction, and give it more memory.",
    )
    yield Check(
        "Redis log",
        _later("broker", "persistence", url),
        "After a restart of it all messages have to be sent again. None of the work is lost.",
        "Set appendonly to yes.",
        optional=True,
    )
    yield Check(
        "workers",
        _later("broker", "workers", url, there.heartbeats),
        "Jobs stand still before a stage at which nobody works.",
        f"Start one: `facemem up`, or docker compose up -d. {RESTART}",
    )


def _later(module: str, name: str, *about: Settings | LocalSettings | Path | str | None) -> Callable[[], str]:
    """Imported when it is tried and not before: that it cannot be imported may be what is wrong."""
    return lambda: str(getattr(import_module(f"services.cli.doctor.{module}"), name)(*about))
