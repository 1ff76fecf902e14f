"""services/kubernetes, without a cluster: every manifest fits its schema, and says what the code and compose say."""

import re
from copy import deepcopy
from typing import Any

import pytest

from shared.jobs.states import Stage
from shared.pipeline.stages import BATCH_IMAGES, PLANS
from shared.settings import Settings
from tests.compose import SECRETS, read_compose, read_images, required_variables
from tests.kubernetes import FOLDER, Invalid, Manifest, build, check, containers, pod, read
from workers.health import SILENT_SECONDS

OURS = ("migrate", "api", "dispatcher", *Stage, "flower")
# Compose brings up a storage server and needs its address; a cluster has one, and may name its region.
ONLY_HERE = {"FACEMEM_S3_REGION"}


@pytest.fixture(scope="module")
def manifests() -> list[Manifest]:
    return build(FOLDER / "overlays" / "example")


@pytest.fixture(scope="module")
def processes(manifests: list[Manifest]) -> dict[str, Manifest]:
    """What runs our processes, by their names."""
    running = {each["metadata"]["name"]: each for each in manifests if pod(each)}
    return {name: running[name] for name in OURS}


def of_kind(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    return {each["metadata"]["name"]: each for each in manifests if each["kind"] == kind}


def variables(manifests: list[Manifest], process: Manifest) -> set[str]:
    """The names of all that the process's environment holds."""
    (container,) = containers(process)
    sources = {**of_kind(manifests, "ConfigMap"), **of_kind(manifests, "Secret")}
    named = {each["name"] for each in container.get("env", [])}
    for source in container["envFrom"]:
        (reference,) = source.values()
        named |= set(sources[reference["name"]].get("data", sources[reference["name"]].get("stringData")))
    return named


# --- Schemas -----------------------------------------------------------------------------------------------------


def test_every_manifest_fits_its_schema(manifests: list[Manifest]) -> None:
    assert len(manifests) > 30
    for manifest in manifests:
        check(manifest)


def test_every_file_is_part_of_it() -> None:
    built = {(each["kind"], each["metadata"]["name"]) for each in build(FOLDER / "overlays" / "example")}
    for file in FOLDER.rglob("*.yaml"):
        if file.name != "kustomization.yaml":
            assert {(each["kind"], each["metadata"]["name"]) for each in read(file)} <= built, file


def planted(manifest: Manifest) -> list[Manifest]:
    """The same with a mistake each: a field that is misspelt, a number that is a word, one that is not there."""
    misspelt, wrong, lacking = (deepcopy(manifest) for _ in range(3))
    misspelt["spec"]["replikas"] = 2
    if manifest["kind"] == "ScaledObject":
        wrong["spec"]["maxReplicaCount"] = "many"
        del lacking["spec"]["triggers"][0]["metadata"]["query"]
    else:
        wrong["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = "long"
        del lacking["spec"]["template"]["spec"]["containers"]
    return [misspelt, wrong, lacking]


@pytest.mark.parametrize("kind", ["Deployment", "ScaledObject"])
def test_a_planted_mistake_is_found(manifests: list[Manifest], kind: str) -> None:
    for mistaken in planted(of_kind(manifests, kind)["detection"]):
        with pytest.raises(Invalid, match=f"{kind} detection"):
            check(mistaken)
    with pytest.raises(Invalid):
        check({"apiVersion": "apps/v1", "kind": "Deploymnt", "metadata": {"name": "detection"}})


# --- What they say -----------------------------------------------------------------------------------------------


def test_every_process_has_the_settings_that_compose_gives_it(
    manifests: list[Manifest], processes: dict[str, Manifest]
) -> None:
    services = read_compose(dict.fromkeys(required_variables(), "x"))["services"]
    for name, process in processes.items():
        here = {each for each in variables(manifests, process) if each.startswith("FACEMEM_")} - ONLY_HERE
        there = set(services[name]["environment"])
        if name in ("detection", "embedding"):
            here.remove("FACEMEM_DEVICE")  # as compose.gpu.yml does
        if name not in list(Stage):
            there.discard("FACEMEM_MACHINE")  # it names workers
        assert here == there, name


def test_every_setting_exists(manifests: list[Manifest], processes: dict[str, Manifest]) -> None:
    for process in processes.values():
        for variable in variables(manifests, process) - {"POD_NAME"}:
            assert variable.removeprefix("FACEMEM_").lower() in Settings.model_fields, variable


def test_images_and_commands_are_those_of_the_dockerfile(processes: dict[str, Manifest]) -> None:
    images = read_images()
    for name, process in processes.items():
        (container,) = containers(process)
        assert re.search(rf"/facemem-{name}:\d+\.\d+\.\d+$", container["image"])
        command = [word for word in container["args"] if not word.startswith("--name")]
        assert str(command).replace("'", '"') == images[name].command
        assert ("--name=$(POD_NAME)" in container["args"]) == (name in list(Stage)), "Flower shows it"


def test_no_pod_may_do_more_than_it_must(manifests: list[Manifest]) -> None:
    for manifest in manifests:
        described = pod(manifest)
        if described is None:
            continue
        of_pod = described["spec"]["securityContext"]
        assert (of_pod["runAsNonRoot"], of_pod["seccompProfile"]) == (True, {"type": "RuntimeDefault"})
        assert described["spec"]["automountServiceAccountToken"] is False
        for container in containers(manifest):
            allowed = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True}
            assert container["securityContext"] == {**allowed, "capabilities": {"drop": ["ALL"]}}
            assert re.fullmatch(r"[^:]+:\d+(\.\d+)+", container["image"]), "of a version, never the latest"
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])
            assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("stage", list(Stage))
def test_each_kind_of_worker_scales_by_what_waits_for_it(manifests: list[Manifest], stage: Stage) -> None:
    scaled = of_kind(manifests, "ScaledObject")[stage]["spec"]
    assert scaled["scaleTargetRef"]["name"] == stage
    assert "replicas" not in of_kind(manifests, "Deployment")[stage]["spec"], "two would set the number"
    (trigger,) = scaled["triggers"]
    assert f"stage = '{stage}'" in trigger["metadata"]["query"]
    assert int(trigger["metadata"]["targetQueryValue"]) == PLANS[stage].at_once * BATCH_IMAGES
    access = of_kind(manifests, "TriggerAuthentication")[trigger["authenticationRef"]["name"]]
    named = {(each["name"], each["key"]) for each in access["spec"]["secretTargetRef"]}
    assert named == {("facemem-scaler", key) for key in of_kind(manifests, "Secret")["facemem-scaler"]["stringData"]}


def test_each_kind_of_worker_drains_and_is_watched(manifests: list[Manifest]) -> None:
    for name in (*Stage, "dispatcher"):
        described = pod(of_kind(manifests, "Deployment")[name])
        assert described is not None
        grace = read_compose(SECRETS)["services"][name]["stop_grace_period"]
        assert described["spec"]["terminationGracePeriodSeconds"] >= int(grace.removesuffix("s"))
        (container,) = described["spec"]["containers"]
        heartbeat = {"exec": {"command": ["python", "-m", "workers.health", "heartbeat"]}}
        assert heartbeat.items() <= container["livenessProbe"].items()
        assert heartbeat.items() <= container["startupProbe"].items()
        starts = container["startupProbe"]["periodSeconds"] * container["startupProbe"]["failureThreshold"]
        assert starts > SILENT_SECONDS, "an old heartbeat that a crash left behind is no reason to restart"
        budget = of_kind(manifests, "PodDisruptionBudget")[name]["spec"]
        assert budget["selector"] == of_kind(manifests, "Deployment")[name]["spec"]["selector"]


def test_models_get_gpus_and_no_more_workers_than_there_are(manifests: list[Manifest]) -> None:
    for name, manifest in of_kind(manifests, "Deployment").items():
        (container,) = containers(manifest)
        assert ("nvidia.com/gpu" in container["resources"]["limits"]) == (name in ("detection", "embedding"))
    plain = of_kind(build(FOLDER / "base"), "Deployment")
    assert not any("nvidia.com/gpu" in containers(each)[0]["resources"]["limits"] for each in plain.values())


# --- Who reaches whom --------------------------------------------------------------------------------------------


def reaching(manifests: list[Manifest], what: str) -> set[str]:
    """The pods with the label that lets them out to something."""
    labels = {each["metadata"]["name"]: pod(each)["metadata"]["labels"] for each in manifests if pod(each)}  # type: ignore[index]
    return {name for name, of_pod in labels.items() if of_pod.get(f"facemem/reaches-{what}") == "true"}


def test_nobody_reaches_anybody_unless_a_policy_says_so(manifests: list[Manifest]) -> None:
    policies = of_kind(manifests, "NetworkPolicy")
    nothing: dict[str, Any] = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert policies["nobody"]["spec"] == nothing
    entries = {name for name, each in policies.items() if "ingress" in each["spec"]}
    assert entries == {"api", "metrics", "ollama"}


def test_networks_are_those_of_compose(manifests: list[Manifest]) -> None:
    services = read_compose(dict.fromkeys(required_variables(), "x"))["services"]
    on = {
        network: {name for name in OURS if network in services[name].get("networks", [])}
        for network in ("default", "storage", "captions")
    }
    assert reaching(manifests, "servers") == on["default"]
    assert reaching(manifests, "storage") == on["storage"]
    assert reaching(manifests, "ollama") == on["captions"]
    assert reaching(manifests, "internet") == {"intake", "dispatcher", "ollama"}
