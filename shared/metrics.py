"""Every metric of facemem's processes, and the port on which Prometheus finds them.

Labels are few and bounded: stages, reasons, tenants, routes; never the id of a job, a batch or an image. What is true
of the whole system and not of one process (a `Reading`) is read from the database when somebody scrapes.
docs/monitoring.md has the table for people; a test keeps the two the same.
"""

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    Summary,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from shared.errors import StorageUnavailable
from shared.settings import Settings

log = structlog.get_logger()

disable_created_metrics()  # a second series for each counter, which nobody reads
# Of our own, so that no library adds what is told nowhere.
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)


@dataclass(frozen=True)
class Reading:
    """A gauge that is not kept, but read from the database whenever it is asked for.

    Whoever serves it tells the same numbers: take the `max` over instances, never the sum.
    """

    name: str
    documentation: str
    labels: tuple[str, ...] = ()

    def family(self, values: Iterable[tuple[tuple[str, ...], float]]) -> GaugeMetricFamily:
        """What was read, for a scrape: label values, in the order of `labels`, with a number each."""
        family = GaugeMetricFamily(self.name, self.documentation, labels=self.labels)
        for labels, value in values:
            family.add_metric(labels, value)
        return family


# --- What waits, and whether work goes on: from the database, by the API -----------------------------------------

BROKER_UP = Reading("facemem_broker_up", "1 if Redis answered this scrape in time and takes messages, else 0.")
DATABASE_UP = Reading("facemem_database_up", "1 if the database answered this scrape in time, else 0.")
DATABASE_SECONDS = Reading("facemem_database_seconds", "How long the database took to answer this scrape.")
OPEN_JOBS = Reading("facemem_open_jobs", "Jobs that run: neither ended nor paused.", ("tenant",))
QUEUE_IMAGES = Reading(
    "facemem_queue_images",
    "Images of running jobs at a stage: `ready` to be let in, `dispatched` to a worker, `running` on one.",
    ("stage", "state", "tenant"),
)
QUEUE_OLDEST_SECONDS = Reading(
    "facemem_queue_oldest_seconds", "How long ago the oldest unfinished image there was accepted.", ("stage", "tenant")
)
QUEUE_WAIT_SECONDS = Reading(
    "facemem_queue_wait_seconds",
    "How long the image that was let in first there has waited for a worker to take it.",
    ("stage", "tenant"),
)
EXPIRED_LEASES = Reading(
    "facemem_expired_leases", "Images whose lease ran out and that the sweeper has not taken back yet.", ("stage",)
)
DISPATCHER_SILENCE_SECONDS = Reading(
    "facemem_dispatcher_silence_seconds",
    "How long ago a dispatcher last finished its rounds, letting in and sweeping; +Inf if none is connected.",
)
TROUBLE = Reading("facemem_trouble", "1 while /readyz tells of this trouble, else 0.", ("code",))
WEBHOOK_EVENTS_DUE = Reading("facemem_webhook_events_due", "Events that are due to be sent to a webhook now.")
WEBHOOK_LAG_SECONDS = Reading("facemem_webhook_lag_seconds", "How long the one of them has waited that was due first.")

# --- Stages: by each worker ---------------------------------------------------------------------------------------

ATTEMPTS = Counter("facemem_attempts", "Images that a worker took in hand.", ["stage"], registry=REGISTRY)
BATCH_SECONDS = Histogram(
    "facemem_batch_seconds",
    "From taking a batch to its last result in the database.",
    ["stage"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
    registry=REGISTRY,
)
BATCH_IMAGES = Histogram(
    "facemem_batch_images", "Images of a batch.", ["stage"], buckets=(1, 2, 4, 8, 16), registry=REGISTRY
)
BATCHES_IN_HAND = Gauge("facemem_batches_in_hand", "Batches that are worked on now.", ["stage"], registry=REGISTRY)
IMAGES = Counter(
    "facemem_images",
    "What became of images in the hands of a worker: `passed` on, `succeeded`, `skipped`, `failed`, to be `retried`, "
    "`waiting` for something, or `lost` to another worker. Those that the dispatcher gives up are `failed`, too.",
    ["stage", "outcome"],
    registry=REGISTRY,
)
FAILURES = Counter(
    "facemem_failures",
    "Those `failed`, `retried` or `waiting`, by their stable code.",
    ["stage", "reason", "outcome"],
    registry=REGISTRY,
)
CAPTIONS = Counter("facemem_captions", "Captions, by who wrote them.", ["captioner"], registry=REGISTRY)
OLLAMA_SECONDS = Histogram(
    "facemem_ollama_seconds",
    "How long Ollama took for one caption, or to fail.",
    buckets=(0.5, 1, 2.5, 5, 10, 20, 40, 80, 120),
    registry=REGISTRY,
)
OLLAMA_FAILURES = Counter(
    "facemem_ollama_failures", "Captions that Ollama did not write.", ["reason"], registry=REGISTRY
)
MODEL_LOAD_SECONDS = Summary(
    "facemem_model_load_seconds",
    "How long a worker took to load networks: `finder`, `encoders` or `scorer`.",
    ["networks"],
    registry=REGISTRY,
)

# --- The dispatcher -----------------------------------------------------------------------------------------------

ROUND_TIME = Gauge(
    "facemem_round_timestamp_seconds",
    "When the last round of `let_in` or `sweep` ended well.",
    ["round"],
    registry=REGISTRY,
)
LET_IN = Counter("facemem_let_in_images", "Images that were let in.", registry=REGISTRY)
LEASE_EXPIRIES = Counter(
    "facemem_lease_expiries",
    "Images taken back because the lease of their `message` or of their `worker` ran out.",
    ["stage", "lease"],
    registry=REGISTRY,
)
LOST_MESSAGES = Counter(
    "facemem_lost_message_images",
    "Images taken back because Redis had lost their message.",
    ["stage"],
    registry=REGISTRY,
)
WEBHOOK_SECONDS = Histogram(
    "facemem_webhook_seconds",
    "How long one try to deliver an event took: `delivered` or `failed`.",
    ["outcome"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15),
    registry=REGISTRY,
)

GIVEN_UP = ("worker_lost", "deadline_passed")  # why a dispatcher fails images

# --- The API, and what several kinds of processes do --------------------------------------------------------------

REQUEST_SECONDS = Histogram(
    "facemem_request_seconds",
    "From a request to the beginning of its answer. Some wait on purpose: with `?wait=`.",
    ["route", "method", "status"],
    buckets=(0.01, 0.05, 0.25, 1, 5, 30),
    registry=REGISTRY,
)
STORAGE_SECONDS = Histogram(
    "facemem_storage_seconds",
    "How long the object storage took for one operation, or to fail.",
    ["operation"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 30),
    registry=REGISTRY,
)
STORAGE_FAILURES = Counter(
    "facemem_storage_failures", "Operations that the object storage failed.", ["operation"], registry=REGISTRY
)
MEMORY = Gauge(
    "facemem_memory_bytes",
    "Memory of a process and of those that it has started, as those of a detection worker that decode.",
    registry=REGISTRY,
)


def _memory() -> int:
    """What the limit of a container holds: of children, what they have for themselves alone. The rest, libraries and
    pixels on their way from one to the other, is in our own numbers already.
    """
    total = _status("self").get("VmRSS", 0)
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with suppress(OSError):  # it has ended meanwhile
                theirs = _status(process.name)
                total += theirs.get("RssAnon", 0) if theirs["PPid"] == os.getpid() else 0
    return total * 1024


def _status(process: str) -> dict[str, int]:
    """What Linux tells of a process in numbers, memory in kilobytes."""
    lines = Path(f"/proc/{process}/status").read_text(errors="replace").splitlines()
    words = {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}
    return {name: int(words[name][0]) for name in ("PPid", "VmRSS", "RssAnon") if name in words}


MEMORY.set_function(_memory)

Call = TypeVar("Call", bound=Callable[..., object])


def storage(operation: str) -> Callable[[Call], Call]:
    """Decorates a function that asks the object storage for one thing: its time is taken, its failures are counted."""
    seconds, failures = STORAGE_SECONDS.labels(operation), STORAGE_FAILURES.labels(operation)
    return lambda asked: seconds.time()(failures.count_exceptions(StorageUnavailable)(asked))


# Counters begin at 0: Prometheus sees no increase in one that comes into being at 1. Others, as those of errors, and
# loads, which are over before the first scrape, begin at 1: the first of each is in their numbers, but in no rate.


def worker_begins(stage: str) -> None:
    """The counters of a worker of this stage."""
    for of_stage in (ATTEMPTS, BATCH_SECONDS, BATCH_IMAGES, BATCHES_IN_HAND):
        of_stage.labels(stage)
    for outcome in ("passed", "succeeded", "skipped", "failed", "retried", "waiting", "lost"):
        IMAGES.labels(stage, outcome)


def dispatcher_begins(stages: Iterable[str]) -> None:
    """The counters of a dispatcher."""
    for stage in stages:
        LOST_MESSAGES.labels(stage)
        IMAGES.labels(stage, "failed")
        for reason in GIVEN_UP:
            FAILURES.labels(stage, reason, "failed")
        for lease in ("message", "worker"):
            LEASE_EXPIRIES.labels(stage, lease)


def serve(settings: Settings, *collectors: Collector, processes: int = 1) -> None:
    """Answer Prometheus from now on, from threads of its own, if the settings name a port.

    Processes of one kind that share their settings share as many ports, from the one named on: each takes the first
    that is free. One that finds none says so in its log and works on, for no work depends on being watched.
    """
    if settings.metrics_port is None:
        return
    for collector in collectors:
        REGISTRY.register(collector)
    for port in range(settings.metrics_port, settings.metrics_port + processes):
        try:
            server, _ = start_http_server(port, settings.metrics_host, REGISTRY)
        except OSError as error:
            taken = error
        else:
            log.info("metrics_served", host=settings.metrics_host, port=server.server_port)
            return
    log.warning("metrics_not_served", host=settings.metrics_host, port=settings.metrics_port, error=str(taken))
