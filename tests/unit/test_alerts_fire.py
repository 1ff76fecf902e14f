"""What each alert means, tried with Prometheus' own tool: when it fires and what it says, and when it stays quiet."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from shared.jobs.states import Stage
from tests.prometheus import tried
from tests.queries import ALERTS, MONITORING

HOUR = 60  # of as many minutes, each with a value, is every series below
BY_NAME = {alert["alert"]: alert for alert in ALERTS}
KINDS = ("api", "dispatcher", *Stage)

Series = dict[str, str]
"""By name and labels, the values in promtool's words: `5+0x60` stays at 5, `0+2x60` rises by 2 each minute."""


def stays(at: float) -> str:
    return f"{at}+0x{HOUR}"


def rises(by: float) -> str:
    return f"0+{by}x{HOUR}"


def jumps(to: float) -> str:  # in the fifth minute
    return f"0x4 {to}x{HOUR}"


@dataclass(frozen=True)
class Case:
    """An alert's two sides."""

    alert: str
    fires: Series
    minutes: tuple[int, int]  # after the first it does not fire yet, after the second it does
    says: str
    quiet: Series
    """With these it does not fire within the hour: what is nearly as bad, or is none of its business."""
    labels: dict[str, str] = field(default_factory=dict)


CASES = [
    Case(
        "FacememUnseen",
        {'up{job="api"}': stays(0)},
        (4, 6),
        "No API process of facemem answers Prometheus.",
        {'facemem_database_up{instance="a"}': stays(0)},
    ),
    Case(
        "FacememProcessAway",
        {'up{job="detection", instance="a"}': stays(0), 'up{job="detection", instance="b"}': stays(1)},
        (4, 6),
        "a (detection) does not answer Prometheus.",
        {'up{job="detection", instance="a"}': "0 0 0 1 1 1 0 0 0 1", 'up{job="flower", instance="a"}': stays(0)},
        {"job": "detection", "instance": "a"},
    ),
    Case(
        "FacememKindAway",
        {f'up{{job="{kind}"}}': stays(1) for kind in KINDS if kind != "scoring"},
        (4, 6),
        "No process of scoring is known to Prometheus.",
        {f'up{{job="{kind}"}}': stays(0) for kind in KINDS},
        {"job": "scoring"},
    ),
    Case(
        "FacememRestarting",
        {'process_start_time_seconds{job="intake", instance="a"}': "1x4 2x4 3x4 4x4 5x40"},
        (19, 21),
        "a (intake) has started 4 times within half an hour.",
        {'process_start_time_seconds{job="intake", instance="a"}': "1x10 2x10 3x10 4x10 5x10"},
        {"job": "intake", "instance": "a"},
    ),
    Case(
        "FacememMemory",
        {'facemem_memory_bytes{job="detection", instance="a"}': stays(4e9)},
        (9, 11),
        "a (detection) uses 3.725GiB of memory.",
        {
            'facemem_memory_bytes{job="detection", instance="a"}': stays(3.8e9),
            "process_resident_memory_bytes": stays(9e9),
        },
        {"job": "detection", "instance": "a"},
    ),
    Case(
        "FacememDatabaseAway",
        {'facemem_database_up{instance="a"}': stays(0)},
        (1, 3),
        "PostgreSQL does not answer the API of facemem.",
        {'facemem_database_up{instance="a"}': stays(0), 'facemem_database_up{instance="b"}': stays(1)},
    ),
    Case(
        "FacememBrokerAway",
        {'facemem_broker_up{instance="a"}': stays(0)},
        (1, 3),
        "Redis does not answer facemem, or takes no messages.",
        {'facemem_broker_up{instance="a"}': stays(0), 'facemem_broker_up{instance="b"}': stays(1)},
    ),
    Case(
        "FacememDispatcherSilent",
        {"facemem_dispatcher_silence_seconds": stays(75)},
        (1, 3),
        "No dispatcher has finished its rounds for 1m 15s.",
        {"facemem_dispatcher_silence_seconds": stays(60)},
    ),
    Case(
        "FacememLeasesNotTakenBack",
        {'facemem_expired_leases{stage="scoring", instance="a"}': stays(1)},
        (2, 4),
        "1 images of scoring have lost their worker, and nobody takes them back.",
        {'facemem_expired_leases{stage="scoring", instance="a"}': "3 3 0 3 3 0 3 3 0 3 3 0"},
        {"stage": "scoring"},
    ),
    Case(
        "FacememStageUnattended",
        {'facemem_trouble{code="stage_unattended", instance="a"}': stays(1)},
        (4, 6),
        "Images wait for a stage that no worker attends to.",
        {'facemem_trouble{code="storage_unavailable"}': stays(1), 'facemem_trouble{code="stage_unattended"}': stays(0)},
    ),
    Case(  # the last one leaves in the tenth minute; two instances of the API tell of the same image
        "FacememStandsStill",
        {
            'facemem_queue_images{stage="detection", state="ready", tenant="a", instance="a"}': stays(1),
            'facemem_queue_images{stage="detection", state="ready", tenant="a", instance="b"}': stays(1),
            'facemem_images_total{stage="detection", outcome="passed"}': "0+1x10 10x50",
            'facemem_images_total{stage="detection", outcome="retried"}': rises(1),
            'facemem_images_total{stage="scoring", outcome="succeeded"}': rises(1),
        },
        (39, 40),
        "1 images are at detection, and none has left it for half an hour.",
        {
            'facemem_queue_images{stage="detection", state="ready", tenant="a"}': stays(10),
            'facemem_images_total{stage="detection", outcome="failed"}': "0x20 1x20 2x20",
        },
        {"stage": "detection"},
    ),
    Case(
        "FacememPartAway",
        {'facemem_trouble{code="captioner_unavailable", instance="a"}': stays(1)},
        (9, 11),
        "Images wait for a part of facemem that is away: captioner_unavailable.",
        {
            'facemem_trouble{code="broker_unavailable"}': stays(1),
            'facemem_trouble{code="storage_unavailable"}': "1x8 0",
        },
        {"code": "captioner_unavailable"},
    ),
    Case(
        "FacememTooFewWorkers",
        {'facemem_queue_wait_seconds{stage="embedding", tenant="a"}': stays(960)},
        (9, 11),
        "Images wait for embedding for 16m 0s before a worker takes them.",
        {'facemem_queue_wait_seconds{stage="embedding", tenant="a"}': stays(840)},
        {"stage": "embedding"},
    ),
    Case(
        "FacememImagesFail",
        {
            'facemem_images_total{stage="intake", outcome="failed"}': rises(3),
            'facemem_attempts_total{stage="intake"}': rises(10),
        },
        (15, 17),
        "30% of the images fail at intake.",
        {
            'facemem_images_total{stage="intake", outcome="failed"}': rises(3),
            'facemem_images_total{stage="intake", outcome="retried"}': rises(17),
            'facemem_attempts_total{stage="intake"}': rises(20),
        },
        {"stage": "intake"},
    ),
    Case(  # images that kill their workers: the dispatcher fails them, and workers did not live to tell of the attempts
        "FacememImagesFail",
        {
            'facemem_images_total{stage="detection", outcome="failed", job="dispatcher"}': rises(1),
            'facemem_attempts_total{stage="detection", job="detection"}': rises(4),
        },
        (15, 17),
        "25% of the images fail at detection.",
        {
            'facemem_images_total{stage="detection", outcome="failed", job="dispatcher"}': jumps(1000),
            'facemem_attempts_total{stage="detection", job="detection"}': rises(10),
        },
        {"stage": "detection"},
    ),
    Case(
        "FacememWorkersLost",
        {'facemem_lease_expiries_total{stage="detection", lease="worker"}': f"0x29 60x{HOUR}"},
        (29, 31),
        "60 images of detection have lost their worker within an hour.",
        {
            'facemem_lease_expiries_total{stage="detection", lease="worker"}': jumps(32),
            'facemem_lease_expiries_total{stage="detection", lease="message"}': jumps(1000),
        },
        {"stage": "detection"},
    ),
    Case(
        "FacememMessagesLost",
        {'facemem_lost_message_images_total{stage="intake"}': f"0x29 600x{HOUR}"},
        (29, 31),
        "Redis has lost the messages of 600 images within an hour.",
        {'facemem_lost_message_images_total{stage="intake"}': jumps(450)},
    ),
    Case(
        "FacememStorageFails",
        {
            'facemem_storage_failures_total{operation="get"}': rises(7),
            'facemem_storage_seconds_count{operation="get"}': rises(100),
        },
        (10, 12),
        "7% of the operations on the object storage fail.",
        {
            'facemem_storage_failures_total{operation="get"}': rises(4),
            'facemem_storage_seconds_count{operation="get"}': rises(10),
            'facemem_storage_seconds_count{operation="put"}': rises(90),
        },
    ),
    Case(
        "FacememStorageSlow",
        {
            'facemem_storage_seconds_bucket{operation="get", le="2.5"}': rises(93),
            'facemem_storage_seconds_bucket{operation="get", le="5"}': rises(100),
            'facemem_storage_seconds_bucket{operation="get", le="+Inf"}': rises(100),
        },
        (15, 17),
        "The object storage takes 3.214s for get.",
        {
            'facemem_storage_seconds_bucket{operation="get", le="1"}': rises(90),
            'facemem_storage_seconds_bucket{operation="get", le="2.5"}': rises(100),
            'facemem_storage_seconds_bucket{operation="get", le="+Inf"}': rises(100),
        },
        {"operation": "get"},
    ),
    Case(
        "FacememOllamaFails",
        {
            'facemem_ollama_failures_total{reason="caption_failed"}': rises(2),
            'facemem_ollama_failures_total{reason="caption_refused"}': rises(1),
            "facemem_ollama_seconds_count": rises(10),
        },
        (15, 17),
        "Ollama does not write 30% of the captions it is asked for.",
        {'facemem_ollama_failures_total{reason="caption_failed"}': rises(2), "facemem_ollama_seconds_count": rises(10)},
    ),
    Case(
        "FacememWebhooksLate",
        {"facemem_webhook_lag_seconds": stays(360)},
        (4, 6),
        "Events for webhooks have been due for 6m 0s.",
        {"facemem_webhook_lag_seconds": stays(300)},
    ),
    Case(
        "FacememApiErrors",
        {
            'facemem_request_seconds_count{status="503"}': rises(7),
            'facemem_request_seconds_count{status="200"}': rises(93),
        },
        (5, 7),
        "The API answers 7% of the requests with an error of its own.",
        {
            'facemem_request_seconds_count{status="500"}': rises(4),
            'facemem_request_seconds_count{status="200"}': rises(60),
            'facemem_request_seconds_count{status="404"}': rises(39),
        },
    ),
]


def test_every_alert_is_tried() -> None:
    assert {case.alert for case in CASES} == set(BY_NAME)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alert)
def test_an_alert_fires_when_it_is_to_and_says_so(case: Case) -> None:
    rule = BY_NAME[case.alert]
    says = {**rule["annotations"], "summary": case.says}
    firing = {"exp_labels": {**rule["labels"], **case.labels}, "exp_annotations": says}
    not_yet, by_then = case.minutes
    wrong = against(case.alert, case.fires, {not_yet: [], by_then: [firing]})
    assert not wrong, wrong


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alert)
def test_an_alert_stays_quiet_when_it_is_to(case: Case) -> None:
    wrong = against(case.alert, case.quiet, {minute: [] for minute in range(HOUR)})
    assert not wrong, wrong


def against(alert: str, series: Series, firing: dict[int, list[dict[str, Any]]]) -> str:
    """What promtool says against what is to fire in which minute."""
    test = {
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [
            {"alertname": alert, "eval_time": f"{minute}m", "exp_alerts": alerts} for minute, alerts in firing.items()
        ],
    }
    return tried(MONITORING / "alerts.yml", [test])
