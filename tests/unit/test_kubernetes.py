"""services/kubernetes, without a cluster: every manifest fits its schema, and says what the code and compose say."""

import re
import shutil
import subprocess
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.jobs.states import Stage
from shared.settings import Settings
from tests.compose import SECRETS, read_compose, read_images, required_variables
from tests.kubernetes import FOLDER, VERSIONS, Invalid, Manifest, build, check, containers, of_kind, pod, read

OURS = ("migrate", "api", "dispatcher", *Stage, "flower")
# Compose brings up a storage server and needs its address; a cluster has one, and may name its region.
ONLY_HERE = {"FACEMEM_S3_REGION"}
# As compose.gpu.yml has it, or the file settings.env.
ONLY_OF_COMPONENTS = {"FACEMEM_DEVICE", "FACEMEM_CAPTIONS_AT_ONCE"}


@pytest.fixture(scope="module")
def manifests() -> list[Manifest]:
    return build(FOLDER / "overlays" / "example")


@pytest.fixture(scope="module")
def processes(manifests: list[Manifest]) -> dict[str, Manifest]:
    """What runs our processes, by their names."""
    running = {each["metadata"]["name"]: each for each in manifests if pod(each)}
    return {name: running[name] for name in OURS}


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


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_fits_its_schema(manifests: list[Manifest], version: str) -> None:
    assert len(manifests) > 30
    for manifest in manifests:
        check(manifest, version)


def test_every_file_is_part_of_it() -> None:
    built = {(each["kind"], each["metadata"]["name"]) for each in build(FOLDER / "overlays" / "example")}
    for file in FOLDER.rglob("*.yaml"):
        if file.name != "kustomization.yaml":
            assert {(each["kind"], each["metadata"]["name"]) for each in read(file)} <= built, file


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl")
def test_it_is_read_as_kubectl_reads_it(manifests: list[Manifest], tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "kubernetes")
    example = tmp_path / "kubernetes" / "overlays" / "example"
    for file in example.glob("*.env.example"):
        file.rename(file.with_suffix(""))
    built = subprocess.run(["kubectl", "kustomize", example], check=True, capture_output=True, text=True).stdout
    theirs = yaml.safe_load_all(re.sub(r"(name: facemem-(?:secrets|flower))-\w{10}\b", r"\1-h45h", built))
    known = {(each["kind"], each["metadata"]["name"]): each for each in theirs}
    assert set(known) == {(each["kind"], each["metadata"]["name"]) for each in manifests}
    for manifest in manifests:
        if manifest["kind"] != "Secret":  # its values are written another way
            assert manifest == known[manifest["kind"], manifest["metadata"]["name"]]


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
        here = {each for each in variables(manifests, process) if each.startswith("FACEMEM_")}
        here -= ONLY_HERE | ONLY_OF_COMPONENTS
        there = set(services[name]["environment"])
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


def test_memory_is_what_compose_gives_by_which_alerts_go(processes: dict[str, Manifest]) -> None:
    services = read_compose(SECRETS)["services"]
    for name, process in processes.items():
        (container,) = containers(process)
        there = services[name]["deploy"]["resources"]["limits"]["memory"]
        assert container["resources"]["limits"]["memory"].removesuffix("i").lower() == there, name


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
    assert entries == {"api", "metrics", "flower-metrics", "ollama"}


def test_networks_are_those_of_compose(manifests: list[Manifest]) -> None:
    services = read_compose(dict.fromkeys(required_variables(), "x"))["services"]
    on = {
        network: {name for name in OURS if network in services[name].get("networks", [])}
        for network in ("default", "storage", "captions")
    }
    assert reaching(manifests, "servers") == on["default"] | {"backup"}, "compose makes them in `migrate`"
    assert reaching(manifests, "storage") == on["storage"] | {"backup"}
    assert reaching(manifests, "ollama") == on["captions"]
    assert reaching(manifests, "internet") == {"intake", "dispatcher", "ollama"}
