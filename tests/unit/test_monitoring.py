"""Dashboard, alerts and their page against the metrics that there are. With a real Prometheus: tests/system."""

import re

import pytest

from shared import metrics
from shared.errors import FacememError
from shared.metrics import Reading
from shared.pipeline.backlog import TROUBLES
from tests.compose import ROOT, read_compose, required_variables
from tests.prometheus import tried
from tests.queries import ALERTS, DASHBOARD, ITS_LABELS, MONITORING, asked, described, queries, series

PAGE = (ROOT / "docs" / "monitoring.md").read_text()
QUERIES = dict(queries())


def test_there_are_no_two_with_one_name() -> None:
    assert len(QUERIES) == len(list(queries()))
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("where", QUERIES)
def test_a_query_parses_and_names_series_and_labels_that_there_are(where: str) -> None:
    there = series()
    question = asked(QUERIES[where])

    assert question.selectors
    known = set(ITS_LABELS)
    for selector in question.selectors:
        assert selector.name in there, selector.name
        labels = there[selector.name] | ITS_LABELS
        known |= labels
        assert {matcher.name for matcher in selector.matchers.matchers} <= labels, selector.name
    assert question.grouped_by <= known


def test_a_query_with_a_fault_would_be_found() -> None:
    with pytest.raises(ValueError, match="paren"):
        asked("sum by (stage (rate(facemem_attempts_total[5m]))")
    with pytest.raises(ValueError, match="expected type"):
        asked("rate(facemem_attempts_total)")


def test_every_metric_is_on_the_dashboard() -> None:
    shown = {
        selector.name
        for panel in DASHBOARD["panels"]
        for target in panel.get("targets", [])
        for selector in asked(QUERIES[f"{panel['title']} {target['refId']}"]).selectors
    }
    assert [metric.name for metric in described() if not shown & set(metric.series)] == []


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_says_what_it_means_and_what_to_do(alert: dict) -> None:
    assert alert["labels"]["severity"] in ("critical", "warning")
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    page, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    assert page == "docs/monitoring.md"
    assert anchor == alert["alert"].lower()
    assert f"\n### {alert['alert']}\n" in PAGE
    known = {"job", "instance"} | asked(alert["expr"]).grouped_by
    used = re.findall(r"\$labels\.(\w+)", " ".join(alert["annotations"].values()))
    assert set(used) <= known


def test_the_page_has_no_alert_that_there_is_not() -> None:
    assert re.findall(r"^### (Facemem\w+)$", PAGE, re.MULTILINE) == [alert["alert"] for alert in ALERTS]


def test_the_page_has_the_metrics_as_they_are_defined() -> None:
    table = PAGE.partition("| metric |")[2].partition("\n\n")[0].splitlines()[2:]
    assert table == [
        f"| `{each.name}` | {each.kind} | {', '.join(f'`{label}`' for label in each.labels)} | {each.documentation} |"
        for each in described()
    ]


def test_the_page_says_which_are_of_the_whole_system() -> None:
    readings = {each.name for each in vars(metrics).values() if isinstance(each, Reading)}
    assert {each.name for each in described()[:12]} == readings
    assert "the first twelve of the table" in PAGE


def test_panels_show_loads_that_are_over_before_the_first_scrape() -> None:
    """The series come into being with the load; a worker is loading, and has no time to tell of yet."""
    loads = "facemem_model_load_seconds"
    test = {
        "input_series": [
            {"series": f'{loads}_{of}{{networks="{networks}"}}', "values": f"_x4 {value}x60"}
            for networks, its in {"finder": {"sum": 3, "count": 1}, "encoders": {"sum": 0, "count": 0}}.items()
            for of, value in its.items()
        ],
        "promql_expr_test": [
            {
                "expr": QUERIES[f"{panel} A"],
                "eval_time": "30m",
                "exp_samples": [{"labels": f'{{networks="{networks}"}}', "value": value} for networks, value in shown],
            }
            for panel, shown in {
                "Loading networks": [("finder", 3)],
                "Networks loaded since the start": [("encoders", 0), ("finder", 1)],
            }.items()
        ],
    }
    wrong = tried(MONITORING / "alerts.yml", [test])
    assert not wrong, wrong


def test_names_are_as_prometheus_wants_them() -> None:
    for metric in described():
        assert re.fullmatch(r"facemem_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert metric.documentation.endswith(".")
        assert not {"job", "instance", "le"} & set(metric.labels), "Prometheus has labels of these names"


def test_troubles_are_errors_of_ours_and_alerts_name_them_by_their_codes() -> None:
    codes = {trouble.code for trouble in TROUBLES}
    assert all(issubclass(trouble, FacememError) for trouble in TROUBLES)
    named = set(re.findall(r"code=~?\"([^\"]*)\"", " ".join(alert["expr"] for alert in ALERTS)))
    assert {code for names in named for code in names.split("|")} <= codes
    assert {"dispatcher_silent"} == codes - {code for names in named for code in names.split("|")}, "has its own metric"


def test_memory_is_told_of_before_compose_ends_a_process() -> None:
    [alert] = [alert for alert in ALERTS if alert["alert"] == "FacememMemory"]
    limits = dict(re.findall(r'job="(\w+)"} > 0\.9 \* (\d+)', alert["expr"]))
    services = read_compose(dict.fromkeys(required_variables(), "x"))["services"]
    units = {"m": 1024**2, "g": 1024**3}
    compose = {kind: services[kind]["deploy"]["resources"]["limits"]["memory"] for kind in limits}
    assert {kind: int(size[:-1]) * units[size[-1]] for kind, size in compose.items()} == {
        kind: int(limit) for kind, limit in limits.items()
    }


def test_grafana_finds_the_dashboard_and_prometheus() -> None:
    assert {path.name for path in MONITORING.iterdir()} == {"README.md", "alerts.yml", "prometheus.yml", "grafana"}
    assert DASHBOARD["uid"] == "facemem"
    sources = {target["datasource"]["uid"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])}
    assert sources == {"${datasource}"}
