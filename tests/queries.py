"""The queries of dashboard and alerts, and the metrics that there are for them to find."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import promql_parser
import yaml
from prometheus_client import Counter, Gauge, Histogram, Summary

from shared import metrics
from shared.metrics import REGISTRY, Reading
from tests.compose import ROOT

MONITORING = ROOT / "services" / "monitoring"
DASHBOARD = json.loads((MONITORING / "grafana" / "facemem.json").read_text())
ALERTS = [
    rule for group in yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"] for rule in group["rules"]
]
# What Grafana fills in, and one of the values that it may be.
VARIABLES = {"$__rate_interval": "1m", "$tenant": ".*"}
# What Prometheus adds to every series.
ITS_LABELS = {"job", "instance"}
SUFFIXES = {Counter: {"_total"}, Histogram: {"_bucket", "_sum", "_count"}, Summary: {"_sum", "_count"}, Gauge: {""}}


@dataclass(frozen=True)
class Described:
    """A metric of shared/metrics.py, as the table of docs/monitoring.md has it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    documentation: str
    series: dict[str, set[str]]
    """The names that its samples have, each with its labels."""


def described() -> list[Described]:
    """Every metric that shared/metrics.py defines, in that order."""
    return [each for each in map(_described, vars(metrics).values()) if each is not None]


def _described(metric: Any) -> Described | None:
    if isinstance(metric, Reading):
        return Described(metric.name, "gauge", metric.labels, metric.documentation, {metric.name: set(metric.labels)})
    if type(metric) not in SUFFIXES:
        return None
    [family] = metric.describe()
    labels = tuple(metric._labelnames)
    series = {
        f"{family.name}{suffix}": {*labels, "le"} if suffix == "_bucket" else set(labels)
        for suffix in SUFFIXES[type(metric)]
    }
    name = f"{family.name}_total" if family.type == "counter" else family.name
    return Described(name, family.type, labels, family.documentation, series)


def series() -> dict[str, set[str]]:
    """The names of all series that there are, each with its labels."""
    ours = {name: labels for each in described() for name, labels in each.series.items()}
    of_processes = {
        sample.name: set(sample.labels)
        for family in REGISTRY.collect()
        if family.name.startswith("process_")
        for sample in family.samples
    }
    return {**ours, **of_processes, "up": set()}


def queries() -> Iterator[tuple[str, str]]:
    """Every query, with where it stands: panels, variables, alerts."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            yield f"{panel['title']} {target['refId']}", _filled(target["expr"])
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            [query] = re.findall(r"label_values\((\w+), \w+\)", variable["query"]["query"])
            yield f"variable {variable['name']}", query
    for alert in ALERTS:
        yield alert["alert"], alert["expr"]


def _filled(query: str) -> str:
    for variable, value in VARIABLES.items():
        query = query.replace(variable, value)
    assert "$" not in query, "a variable that no test knows"
    return query


@dataclass(frozen=True)
class Asked:
    """What a query asks for: series by name with the labels that it names, and labels that it groups by."""

    selectors: list[promql_parser.VectorSelector]
    grouped_by: set[str]


def asked(query: str) -> Asked:
    """Raises ValueError if it is no PromQL."""
    found = Asked([], set())

    def look(node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.selectors.append(node)
        elif isinstance(node, promql_parser.MatrixSelector):
            found.selectors.append(node.vector_selector)
        elif isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            found.grouped_by.update(node.modifier.labels)
        elif isinstance(node, promql_parser.BinaryExpr) and node.modifier is not None and node.modifier.matching:
            found.grouped_by.update(node.modifier.matching.labels)

    promql_parser.walk(promql_parser.parse(query), look)
    return found
