"""Reuse is tested with real workers' work, of which is counted what was really computed."""

from collections.abc import Callable
from typing import Any

import pytest

from shared.pipeline.connections import Connections
from shared.settings import Settings
from tests.integration.reuse.workers import Workers
from workers.captioning import caption
from workers.detection import task as detection


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"device": "cpu", "threads": 1, "ollama_url": "http://127.0.0.1:9"})


@pytest.fixture
def workers(connections: Connections) -> Workers:
    return Workers(connections)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images faces were really looked for in, by batch."""
    numbers: list[int] = []

    def counted(
        finder: Any, decode: Any, contents: Any, settings: Any, real: Callable[..., Any] = detection.detect
    ) -> Any:
        numbers.append(len(contents))
        return real(finder, decode, contents, settings)

    monkeypatch.setattr(detection, "detect", counted)
    return numbers


@pytest.fixture
def described(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which captions were really written."""
    texts: list[str] = []

    def counted(*arguments: Any, real: Callable[..., str] = caption.describe) -> str:
        texts.append(real(*arguments))
        return texts[-1]

    monkeypatch.setattr(caption, "describe", counted)
    return texts
