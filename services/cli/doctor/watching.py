"""What others look at facemem with: metrics for Prometheus, traces for a collector."""

import json
from pathlib import Path

import httpx

from services.cli.doctor.check import Missing
from shared.settings import Settings

SECONDS = 5.0


def metrics(scrape_file: Path) -> str:
    """Each process that the file for Prometheus names shows its metrics."""
    if not scrape_file.is_file():
        return "not shown: FACEMEM_METRICS_PORT names no port here"
    named = [(each["labels"]["job"], each["targets"][0]) for each in json.loads(scrape_file.read_text())]
    if silent := [f"{job} at {address}" for job, address in named if not _shows_metrics(address)]:
        raise Missing(f"{len(silent)} of {len(named)} do not show theirs: {', '.join(silent)}")
    return f"all that are named show theirs: {len(named)}"


def _shows_metrics(address: str) -> bool:
    try:
        answer = httpx.get(f"http://{address}/metrics", timeout=SECONDS, trust_env=False)
    except httpx.HTTPError:
        return False
    return answer.is_success and "facemem_" in answer.text


def traces(configured: Settings) -> str:
    """Who is to take them answers, whatever it says to a question that is no trace."""
    if configured.otlp_endpoint is None:
        return "sent to nobody: FACEMEM_OTLP_ENDPOINT names none"
    try:
        httpx.get(str(configured.otlp_endpoint), timeout=SECONDS, trust_env=False)
    except httpx.HTTPError as error:
        raise Missing(f"nothing answers at {configured.otlp_endpoint}") from error
    return f"{configured.otlp_endpoint} answers"
