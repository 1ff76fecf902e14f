"""Reads metrics as Prometheus does: over HTTP, from where a process shows them."""

from collections.abc import Iterable
from urllib.request import urlopen

from prometheus_client import Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from shared.metrics import REGISTRY, Reading

Samples = list[Sample]


def scrape(address: str) -> Samples:
    """What the process at host:port shows."""
    with urlopen(f"http://{address}/metrics", timeout=30) as answer:
        assert answer.headers.get_content_type() == "text/plain"
        return samples(text_string_to_metric_families(answer.read().decode()))


def here() -> Samples:
    """What this process would show."""
    return samples(text_string_to_metric_families(generate_latest(REGISTRY).decode()))


def read(collector: Collector) -> Samples:
    """What a collector would add to that now."""
    return samples(collector.collect())


def samples(families: Iterable[Metric]) -> Samples:
    return [sample for family in families for sample in family.samples]


def value(found: Samples, metric: str | Reading, **labels: str) -> float:
    """The sum of the samples of this name that have these labels."""
    name = metric.name if isinstance(metric, Reading) else metric
    return sum(each.value for each in found if each.name == name and labels.items() <= each.labels.items())
