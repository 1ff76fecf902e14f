"""What a process of the pipeline is connected to."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

from celery import Celery
from redis import Redis
from sqlalchemy import Engine

from shared.database.session import connect
from shared.pipeline.broker import broker
from shared.pipeline.celery_app import build
from shared.settings import Settings
from shared.storage.objects import Objects, open_objects


@dataclass(frozen=True)
class Connections:
    """Postgres, object storage and the broker, as the settings name them. Each connects on first use."""

    settings: Settings
    database: Engine
    objects: Objects
    celery: Celery

    @cached_property
    def broker(self) -> Redis:
        """Redis itself, to look into its queues."""
        return broker(self.settings)

    @classmethod
    def of(cls, settings: Settings, process: str = "") -> Self:
        """`process` is `WORK NAME`, and how Postgres lists its connections."""
        return cls(
            settings,
            connect(settings.database_url.get_secret_value(), process, by_index=True),
            open_objects(settings),
            build(settings.broker_url.get_secret_value()),
        )
