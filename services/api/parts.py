"""What the API works with, kept by the app that was built with it."""

from dataclasses import dataclass

from flask import current_app
from sqlalchemy import Engine

from shared.settings import Settings
from shared.storage.objects import Objects


@dataclass(frozen=True)
class Parts:
    """The API's connections. `bundle` is the digest that new jobs are scored with; names are by digest."""

    settings: Settings
    database: Engine
    objects: Objects
    bundle: str
    bundle_names: dict[str, str]


def parts() -> Parts:
    """The parts of the app that serves the current request."""
    return current_app.extensions["facemem"]
