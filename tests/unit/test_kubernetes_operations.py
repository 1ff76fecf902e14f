"""services/kubernetes in operation: scaling, drains, upgrades, metrics, backups, as the code and the pages say."""

import re
import shlex
import subprocess
from math import ceil
from typing import Any

import pytest
import yaml

from services.backup.__main__ import _parser
from shared.database.session import POOL_OVERFLOW, POOL_SIZE
from shared.jobs.states import Stage
from shared.pipeline.stages import BATCH_IMAGES, PLANS
from shared.settings import Settings
from tests.compose import ROOT, SECRETS, SHOW_METRICS, read_compose
from tests.kubernetes import FOLDER, Manifest, build, check, containers, of_kind, pod
from workers.health import SILENT_SECONDS
from workers.intake.task import FETCHES_AT_ONCE

OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
UPGRADES = (ROOT / "docs" / "upgrades.md").read_text()
CAPTION_SECONDS = 5  # for one, of llama3.2-vision on a GPU
IMAGE_SECONDS = 1.5  # for a large photograph, at a stage that computes
BEFORE = "facemem/after!=migrate"
# What is connected beside workers, API and dispatchers: KEDA, migrations, a backup, people; and what PostgreSQL keeps.
OTHER_CONNECTIONS = 20


@pytest.fixture(scope="module")
def manifests() -> list[Manifest]:
    return build(FOLDER / "overlays" / "example")


# --- Scaling, and going ------------------------------------------------------------------------------------------


def batches_in_hand(manifests: list[Manifest], stage: Stage) -> int:
    """How many batches a worker of a stage has in hand at most."""
    (container,) = containers(of_kind(manifests, "Deployment")[stage])
    told = {each["name"]: each.get("value") for each in container["env"]}
    return min(int(told.get("FACEMEM_CAPTIONS_AT_ONCE") or PLANS[stage].at_once), PLANS[stage].at_once)


def seconds_in_hand(stage: Stage, batches: int) -> float:
    """How long a worker needs for all of them. Links are fetched side by side, also those of several batches."""
    if stage == Stage.INTAKE:
        return ceil(BATCH_IMAGES / FETCHES_AT_ONCE) * float(Settings.model_fields["fetch_seconds"].default)
    return batches * BATCH_IMAGES * (CAPTION_SECONDS if stage == Stage.CAPTIONING else IMAGE_SECONDS)


@pytest.mark.parametrize("stage", list(Stage))
def test_each_kind_of_worker_scales_by_what_waits_for_it(manifests: list[Manifest], stage: Stage) -> None:
    scaled = of_kind(manifests, "ScaledObject")[stage]["spec"]
    assert scaled["scaleTargetRef"]["name"] == stage
    assert "replicas" not in of_kind(manifests, "Deployment")[stage]["spec"], "two would set the number"
    (trigger,) = scaled["triggers"]
    assert f"stage = '{stage}'" in trigger["metadata"]["query"]
    assert int(trigger["metadata"]["targetQueryValue"]) == batches_in_hand(manifests, stage) * BATCH_IMAGES
    access = of_kind(manifests, "TriggerAuthentication")[trigger["authenticationRef"]["name"]]
    named = {(each["name"], each["key"]) for each in access["spec"]["secretTargetRef"]}
    assert named == {("facemem-scaler", key) for key in of_kind(manifests, "Secret")["facemem-scaler"]["stringData"]}


def test_captioning_scales_by_ollamas(manifests: list[Manifest]) -> None:
    assert of_kind(build(FOLDER / "base"), "ScaledObject")["captioning"]["spec"]["maxReplicaCount"] > 1
    ollama = of_kind(manifests, "StatefulSet")["ollama"]
    (serving,) = ollama["spec"]["template"]["spec"]["containers"]
    at_once = {each["name"]: each["value"] for each in serving["env"]}["OLLAMA_NUM_PARALLEL"]
    together = ollama["spec"]["replicas"] * int(at_once)
    assert of_kind(manifests, "ScaledObject")["captioning"]["spec"]["maxReplicaCount"] == together == 1
    assert batches_in_hand(manifests, Stage.CAPTIONING) == 1
    assert not re.search(r"^docker compose .*--scale captioning", OPERATIONS, re.MULTILINE)


def test_each_kind_of_worker_drains_and_is_watched(manifests: list[Manifest]) -> None:
    for name in (*Stage, "dispatcher"):
        described = pod(of_kind(manifests, "Deployment")[name])
        assert described is not None
        if name in list(Stage):
            needed = seconds_in_hand(Stage(name), batches_in_hand(manifests, Stage(name)))
            assert described["spec"]["terminationGracePeriodSeconds"] >= needed, name
        (container,) = described["spec"]["containers"]
        heartbeat = {"exec": {"command": ["python", "-m", "workers.health", "heartbeat"]}}
        assert heartbeat.items() <= container["livenessProbe"].items()
        assert heartbeat.items() <= container["startupProbe"].items()
        starts = container["startupProbe"]["periodSeconds"] * container["startupProbe"]["failureThreshold"]
        assert starts > SILENT_SECONDS, "what a process before it has left, it removes only when it runs"
        budget = of_kind(manifests, "PodDisruptionBudget")[name]["spec"]
        assert budget["selector"] == of_kind(manifests, "Deployment")[name]["spec"]["selector"]


@pytest.mark.parametrize("stage", list(Stage))
def test_under_compose_they_drain_too(stage: Stage) -> None:
    def grace(variables: dict[str, str]) -> float:
        service = read_compose({**SECRETS, **variables})["services"][stage]
        return float(service["stop_grace_period"].removesuffix("s"))

    assert grace({}) >= seconds_in_hand(stage, PLANS[stage].at_once)
    if stage in (Stage.INTAKE, Stage.CAPTIONING):
        variable = f"{stage.upper()}_GRACE"
        assert grace({variable: "1000s"}) == 1000
        assert f"{variable}={grace({}):g}s\n" in (ROOT / ".env.example").read_text()


def test_the_page_asks_for_as_many_connections_as_all_workers_use() -> None:
    """A batch in hand uses one to work and one to renew its lease. In a rollout there is one more of a kind."""
    base = build(FOLDER / "base")
    scaled = of_kind(base, "ScaledObject")
    workers = sum((scaled[stage]["spec"]["maxReplicaCount"] + 1) * 2 * batches_in_hand(base, stage) for stage in Stage)
    replicas = [of_kind(base, "Deployment")[name]["spec"]["replicas"] for name in ("api", "dispatcher")]
    others = sum(number + 1 for number in replicas) * (POOL_SIZE + POOL_OVERFLOW + 1)
    [said] = re.findall(r"\*\*set `max_connections` to (\d+)\*\*", OPERATIONS)
    assert workers + others + OTHER_CONNECTIONS <= int(said) < 1.1 * (workers + others + OTHER_CONNECTIONS)


# --- Upgrades and backups ----------------------------------------------------------------------------------------


def test_migrations_can_be_applied_before_what_waits_for_them(manifests: list[Manifest]) -> None:
    label, _, value = BEFORE.partition("!=")
    first = [each for each in manifests if each["metadata"].get("labels", {}).get(label) != value]
    later = {(each["kind"], each["metadata"]["name"]) for each in manifests if each not in first}
    processes = (*Stage, "api", "dispatcher", "flower")
    assert later == {("Deployment", name) for name in processes} | {("ScaledObject", name) for name in Stage}
    there = {(each["kind"], each["metadata"]["name"]) for each in first}
    described = pod(of_kind(first, "Job")["migrate"])
    assert described is not None
    needs = {("ServiceAccount", described["spec"]["serviceAccountName"]), ("Namespace", "facemem")}
    for source in described["spec"]["containers"][0]["envFrom"]:
        kinds = {"configMapRef": "ConfigMap", "secretRef": "Secret"}
        needs |= {(kinds[kind], reference["name"]) for kind, reference in source.items()}
    assert needs <= there
    steps = OPERATIONS.partition("delete job migrate --ignore-not-found")[2].partition("```")[0].splitlines()
    said = [line.partition("#")[0].strip() for line in steps]
    assert said[1] == f"kubectl apply -k . --selector='{BEFORE}'"
    assert "job/migrate" in said[2]
    assert said[3] == "kubectl apply -k ."


def test_a_backup_is_made_and_restored_with_what_migrations_have(manifests: list[Manifest]) -> None:
    cron = of_kind(manifests, "CronJob")["backup"]
    assert cron["spec"]["suspend"] is True
    (container,), (migrating,) = containers(cron), containers(of_kind(manifests, "Job")["migrate"])
    assert (container["image"], container["envFrom"]) == (migrating["image"], migrating["envFrom"])
    assert container["resources"]["limits"] == migrating["resources"]["limits"]
    assert container["args"] == ["sh", "-c", "$(DO)"]
    [does] = [each["value"] for each in container["env"] if each["name"] == "DO"]
    by_hand = re.findall(r"^backups \w+ '(exec python .*)'$", UPGRADES, re.MULTILINE)
    asked = [_parser().parse_args(words(command)) for command in (does, *by_hand)]
    assert [each.command.__name__ for each in asked] == ["_create", "_create", "_deletions", "_restore"]
    [mounted] = [each for each in container["volumeMounts"] if each["name"] == "backups"]
    assert {str(each.file.parent) for each in asked} == {mounted["mountPath"]}
    described = pod(cron)
    assert described is not None
    [volume] = [each for each in described["spec"]["volumes"] if each["name"] == "backups"]
    assert volume["persistentVolumeClaim"]["claimName"] in of_kind(manifests, "PersistentVolumeClaim")
    assert described["spec"]["securityContext"]["fsGroup"] == 10001, "else it may not write there"


def words(command: str) -> list[str]:
    """What `python -m services.backup` is told."""
    split = shlex.split(command.replace("`date -u +%F-%H%M`", "date"))
    assert split[:4] == ["exec", "python", "-m", "services.backup"]
    return split[4:]


# --- Metrics, and who is let where ---------------------------------------------------------------------------------


def labels_and_ports(manifests: list[Manifest]) -> dict[str, tuple[dict[str, str], dict[str, int]]]:
    """Of the pods of each manifest: their labels, and their ports by name."""
    found = {}
    for manifest in manifests:
        if described := pod(manifest):
            ports = [port for container in containers(manifest) for port in container.get("ports", [])]
            by_name = {port["name"]: port["containerPort"] for port in ports}
            found[manifest["metadata"]["name"]] = (described["metadata"]["labels"], by_name)
    return found


def chosen(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    return bool(selector.get("matchLabels", {}).items() <= labels.items())


def test_prometheus_finds_whom_compose_has_it_scrape_and_is_let_in(manifests: list[Manifest]) -> None:
    given = of_kind(manifests, "ConfigMap")["facemem-settings"]["data"]
    scraped, reached = {}, {}
    policies = of_kind(manifests, "NetworkPolicy").values()
    for labels, ports in labels_and_ports(manifests).values():
        for monitor in (each["spec"] for each in of_kind(manifests, "PodMonitor").values()):
            named = [ports[each["port"]] for each in monitor["podMetricsEndpoints"] if each["port"] in ports]
            if named and chosen(monitor["selector"], labels):
                job = labels[monitor["jobLabel"]]
                [scraped[job]] = named
                [reached[job]] = [
                    port
                    for each in policies
                    if chosen(each["spec"]["podSelector"], labels)
                    for port in let_in_from_monitoring(each)
                    if port in named
                ]
    assert scraped == {**dict.fromkeys(SHOW_METRICS, int(given["FACEMEM_METRICS_PORT"])), "flower": 5555}
    assert reached == scraped
    for name in SHOW_METRICS:
        (container,) = containers(of_kind(manifests, "Deployment")[name])
        assert "FACEMEM_API_PROCESSES" not in {each["name"] for each in container.get("env", [])}, "one port shows one"
    assert "FACEMEM_API_PROCESSES" not in given


def let_in_from_monitoring(policy: Manifest) -> list[int]:
    namespace = {"kubernetes.io/metadata.name": "monitoring"}
    return [
        port["port"]
        for rule in policy["spec"].get("ingress", [])
        for source in rule.get("from", [])
        if source.get("namespaceSelector") == {"matchLabels": namespace}
        for port in rule["ports"]
    ]


def test_one_selector_finds_every_pod(manifests: list[Manifest]) -> None:
    label, _, value = "app.kubernetes.io/name=facemem".partition("=")
    assert f"get pods --selector={label}={value}\n" in OPERATIONS
    assert {labels.get(label) for labels, _ in labels_and_ports(manifests).values()} == {value}


def test_the_alerts_can_be_loaded_as_the_page_says() -> None:
    script = OPERATIONS.partition("```\n(printf ")[2].partition(" | kubectl")[0]
    made = subprocess.run(["sh", "-c", f"(printf {script}"], cwd=ROOT, check=True, capture_output=True, text=True)
    rules = yaml.safe_load(made.stdout)
    check(rules)
    assert rules["spec"] == yaml.safe_load((ROOT / "services/monitoring/alerts.yml").read_text())


def test_the_page_has_every_port_that_is_let_out(manifests: list[Manifest]) -> None:
    table = OPERATIONS.partition("| policy | ports |")[2].partition("\n\n")[0]
    told = {
        name: set(map(int, re.findall(r"\d+", ports)))
        for name, ports in re.findall(r"^\| `(\w+)`.*?\| (.*?) \|", table, re.MULTILINE)
    }
    out = {
        name: {port["port"] for rule in policy["spec"]["egress"] for port in rule.get("ports", [])}
        for name, policy in of_kind(manifests, "NetworkPolicy").items()
        if "egress" in policy["spec"]
    }
    told["internet"] = set()  # all of them, of IPv4
    assert told == out
