"""A running system is scraped: every metric is there and moves, and a real Prometheus answers every query."""

import json
import re
from pathlib import Path
from uuid import UUID

import pytest
import yaml

from shared.jobs.states import Stage
from shared.metrics import DATABASE_UP, DISPATCHER_SILENCE_SECONDS, OPEN_JOBS, QUEUE_IMAGES, TROUBLE
from tests.compose import ROOT
from tests.kept import kept
from tests.ollama_server import OllamaServer
from tests.photo_server import photo_server
from tests.photographs import faceless, portraits
from tests.prometheus import Prometheus, checked, prometheus
from tests.queries import ALERTS, MONITORING, asked, described, queries
from tests.scraping import Samples, scrape, value
from tests.system.conftest import Running, Start, wait_until
from tests.webhook_receiver import receiver

KINDS = {"api", "dispatcher", *Stage}
# The one selector that finds nothing, because nothing went wrong.
NO_FAULTS = 'facemem_request_seconds_count{status=~"5.."}'
# What moves for a moment only, or where something goes wrong: tests/integration/test_metrics.py sees to that.
ELSEWHERE = {
    "facemem_batches_in_hand",
    "facemem_expired_leases",
    "facemem_lease_expiries_total",
    "facemem_lost_message_images_total",
    "facemem_queue_wait_seconds",
    "facemem_storage_failures_total",
    "facemem_webhook_events_due",
    "facemem_webhook_lag_seconds",
}


@pytest.mark.timeout(600)
def test_every_metric_moves_and_prometheus_answers_every_query(start: Start, tmp_path: Path) -> None:
    [(_, first), (_, second)] = portraits(2)
    with (
        receiver() as hooks,
        OllamaServer() as ollama,
        photo_server(lambda _: second) as photos,
        start(metrics_port="0", fetch_private_addresses="true", ollama_url=ollama.url) as running,
    ):
        assert set(addresses(running)) == KINDS
        client = running.client
        client.webhooks.create(f"{hooks.address}/hook")
        done = client.submit(photo_set(tmp_path, first), captioner="ollama").id
        ended(running, done, succeeded=1, skipped=1, failed=1)
        ollama.mode = "failing"
        ended(running, client.submit_links([f"{photos}/second.jpg"]).id, succeeded=1)
        # This one waits, and so there is something to be seen that does.
        ollama.mode = "missing"
        waiting = client.submit([tmp_path / "a.jpg"], captioner="ollama").id
        wait_until(lambda: bool(client.job(waiting).held_up), 120)
        hooks.next()

        found = everything(running)
        names, moved = {each.name for each in found}, {each.name for each in found if each.value > 0}
        assert [each.name for each in described() if not names & set(each.series)] == []
        assert {each.name for each in described() if not moved & set(each.series)} <= ELSEWHERE
        check_numbers(found)
        check_queries(running, tmp_path)


def addresses(running: Running) -> dict[str, str]:
    """Where each kind of process shows its metrics."""
    assert running.system.scrape_file is not None
    found = json.loads(running.system.scrape_file.read_text())
    return {each["labels"]["job"]: each["targets"][0] for each in found}


def everything(running: Running) -> Samples:
    return [sample for address in addresses(running).values() for sample in scrape(address)]


def photo_set(folder: Path, portrait: bytes) -> list[Path]:
    """One that succeeds, one without a face, one that is broken."""
    files = {"a.jpg": portrait, "b.png": faceless(), "c.jpg": portrait[: len(portrait) // 3]}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in files]


def ended(running: Running, job: UUID, **counts: int) -> None:
    *_, last = running.client.watch(job)
    assert last.state == "completed"
    assert {state: last.counts[state] for state in counts} == counts


def check_numbers(found: Samples) -> None:
    """Three uploads and a link, then the first again."""

    def images(stage: Stage, outcome: str) -> float:
        return value(found, "facemem_images_total", stage=stage, outcome=outcome)

    assert images(Stage.INTAKE, "passed") == 1
    assert images(Stage.DETECTION, "skipped") == images(Stage.DETECTION, "failed") == 1
    assert images(Stage.DETECTION, "passed") == 3
    assert images(Stage.CAPTIONING, "waiting") >= 1
    assert images(Stage.SCORING, "succeeded") == 2
    assert value(found, "facemem_failures_total", reason="broken_image", outcome="failed") == 1
    assert value(found, "facemem_failures_total", reason="captioner_unavailable", outcome="waiting") >= 1
    assert value(found, "facemem_batch_images_sum", stage="scoring") == 2
    assert value(found, "facemem_attempts_total", stage="scoring") == 2
    assert value(found, "facemem_captions_total", captioner="ollama") == 1
    assert value(found, "facemem_captions_total", captioner="describer") == 1
    assert value(found, "facemem_model_load_seconds_count") == 3
    assert value(found, "facemem_request_seconds_count", route="/v1/jobs", method="POST", status="202") == 3
    assert value(found, DATABASE_UP) == 1
    assert value(found, DISPATCHER_SILENCE_SECONDS) < 60
    assert value(found, OPEN_JOBS) == value(found, QUEUE_IMAGES) == value(found, QUEUE_IMAGES, stage="captioning") == 1
    assert value(found, TROUBLE) == value(found, TROUBLE, code="captioner_unavailable") == 1


def check_queries(running: Running, folder: Path) -> None:
    """With the configuration that docs/monitoring.md has for one machine."""
    page = (ROOT / "docs" / "monitoring.md").read_text()
    config = yaml.safe_load(re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[0])
    [facemem] = config["scrape_configs"]
    [file] = facemem["file_sd_configs"]
    file["files"] = [str(running.system.scrape_file)]
    rules = [str(ROOT / path) for path in config["rule_files"]]
    assert rules == [str(MONITORING / "alerts.yml")]
    assert checked("rules", MONITORING / "alerts.yml") == ""
    often = {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "rule_files": rules}
    with prometheus({**config, **often}, folder / "prometheus") as server:
        wait_until(lambda: len(server.ask("count_over_time(up[1m]) >= 3")) == len(KINDS), 60)
        assert {each["metric"]["job"] for each in server.ask("up == 1")} == KINDS
        alerts = {alert["alert"] for alert in ALERTS}
        for where, query in queries():
            for selector in asked(query).selectors:
                found = selector.prettify()
                assert server.ask(found) or found == NO_FAULTS, (where, "finds nothing")
            if where not in alerts:
                shown = [each["value"][1] for each in server.ask(query)]
                assert shown, (where, "shows nothing")
                # Since Prometheus looks nothing happens, and quotients of rates are 0/0.
                assert "NaN" not in shown or "rate(" in query, (where, "shows no number")
        keep_what_panels_show(server)
        # Without the time for which it must be so: a job waits, for a part that is away.
        firing = {alert["alert"] for alert in ALERTS if server.ask(alert["expr"])}
        assert firing == {"FacememPartAway", "FacememStandsStill"}


def keep_what_panels_show(server: Prometheus) -> None:
    """As a table, for who has no Grafana at hand: what each query of the dashboard found."""
    lines = ["| panel | query | series | first value |", "|---|---|---|---|"]
    for where, query in queries():
        if found := server.ask(query):
            lines.append(f"| {where} | `{query}` | {len(found)} | {found[0]['metric']} {found[0]['value'][1]} |")
    kept("dashboard.md").write_text("\n".join(lines) + "\n")
