"""Where Prometheus finds the metrics of the processes of one machine."""

import json
from pathlib import Path

from services.local.redis import free_port
from shared.settings import Settings


class Scraped:
    """Gives each process a port of its own, from `metrics_port` on, and tells Prometheus in a file of its own format
    (`file_sd_configs`). Does neither if that setting is unset.
    """

    def __init__(self, settings: Settings, file: Path) -> None:
        self._settings = settings
        self._file = file
        self._next = settings.metrics_port
        self._targets: list[dict[str, object]] = []

    def place(self, name: str, kind: str, processes: int = 1) -> dict[str, str]:
        """The settings of the next process, as its environment names them. With several it takes as many ports."""
        if self._next is None:
            return {}
        host = self._settings.metrics_host
        port = free_port(host, self._next)
        self._next = port + processes if self._settings.metrics_port else 0
        for number in range(processes):
            labels = {"job": kind, "instance": f"{name}:{number}" if number else name}
            self._targets.append({"targets": [f"{host}:{port + number}"], "labels": labels})
        return {"FACEMEM_METRICS_PORT": str(port), "FACEMEM_METRICS_HOST": host}

    def announce(self) -> Path | None:
        """Write the file, or take away what an earlier run left. Returns its path if there is one."""
        if not self._targets:
            self._file.unlink(missing_ok=True)
            return None
        draft = self._file.with_suffix(".new")
        draft.write_text(json.dumps(self._targets, indent=1))
        draft.replace(self._file)
        return self._file
