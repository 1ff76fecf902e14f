"""Reads services/kubernetes as `kubectl kustomize` would, where there is no kubectl, and checks it by schema.

Kubernetes' own schemas are those of the package kubernetes-validate. Those of KEDA and of the Prometheus Operator are
in no package: `CUSTOM` states, in our own words and after their documentation, what we use of them. A field that stands
in neither is an error.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonpatch
import jsonschema
import kubernetes_validate
import yaml

from tests.compose import ROOT

FOLDER = ROOT / "services" / "kubernetes"
VERSIONS = ("1.30", "1.37")  # the oldest that docs/operations.md names, and the newest that there are schemas of

Manifest = dict[str, Any]

_UNDERSTOOD = {"apiVersion", "kind", "namespace", "labels", "resources", "components", "images", "patches"}
_UNDERSTOOD |= {"secretGenerator"}


class Invalid(Exception):
    """A manifest that no cluster would take."""


def build(folder: Path) -> list[Manifest]:
    """The manifests that a folder with a kustomization.yaml stands for. Generated secrets get a
    hash in their names, which those that refer to them are told, but for KEDA's.
    """
    return _built(folder, [])


def _built(folder: Path, below: list[Manifest]) -> list[Manifest]:
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    unknown = set(kustomization) - _UNDERSTOOD
    if unknown:
        raise Invalid(f"{folder}: this reader does not know {', '.join(unknown)}")
    made = list(below)
    for name in kustomization.get("resources", []):
        place = folder / name
        made += build(place) if place.is_dir() else read(place)
    for generator in kustomization.get("secretGenerator", []):
        made.append(_secret(folder, generator))
    for name in kustomization.get("components", []):
        made = _built(folder / name, made)
    for generator in kustomization.get("secretGenerator", []):
        if not generator.get("options", {}).get("disableNameSuffixHash"):
            _add_hash(made, generator["name"])
    for patch in kustomization.get("patches", []):
        made = list(_patched(made, patch))
    for manifest in made:
        _adorn(manifest, kustomization)
    return made


def _adorn(manifest: Manifest, kustomization: dict[str, Any]) -> None:
    """What a kustomization gives to all alike."""
    for labels in kustomization.get("labels", []):
        _label(manifest, **labels)
    if "namespace" in kustomization and manifest["kind"] != "Namespace":
        manifest["metadata"]["namespace"] = kustomization["namespace"]
    for image in kustomization.get("images", []):
        _move_image(manifest, image["name"], image["newName"])


def read(file: Path) -> list[Manifest]:
    """The manifests of one file."""
    return [manifest for manifest in yaml.safe_load_all(file.read_text()) if manifest is not None]


def _secret(folder: Path, generator: dict[str, Any]) -> Manifest:
    """From the example of the file that is not in the repository."""
    (env,) = generator["envs"]
    lines = (folder / f"{env}.example").read_text().splitlines()
    content = dict(line.partition("=")[::2] for line in lines if line and not line.startswith("#"))
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": generator["name"]}, "stringData": content}


def _add_hash(manifests: list[Manifest], name: str) -> None:
    hashed = f"{name}-h45h"
    for manifest in manifests:
        if manifest["kind"] == "Secret" and manifest["metadata"]["name"] == name:
            manifest["metadata"]["name"] = hashed
        for container in containers(manifest):
            for source in container.get("envFrom", []):
                if source.get("secretRef", {}).get("name") == name:
                    source["secretRef"]["name"] = hashed


def _label(manifest: Manifest, pairs: dict[str, str], *, includeTemplates: bool = False) -> None:  # noqa: N803
    described = pod(manifest) if includeTemplates else None
    for labelled in (manifest, described):
        if labelled is not None:
            labelled.setdefault("metadata", {}).setdefault("labels", {}).update(pairs)


def _patched(manifests: list[Manifest], patch: dict[str, Any]) -> Iterator[Manifest]:
    target = patch["target"]
    hits = 0
    for manifest in manifests:
        named = re.fullmatch(target["name"], manifest["metadata"]["name"])
        if manifest["kind"] != target["kind"] or not named:
            yield manifest
            continue
        hits += 1
        yield jsonpatch.apply_patch(manifest, yaml.safe_load(patch["patch"]))
    if not hits:
        raise Invalid(f"nothing is called {target}")


def _move_image(manifest: Manifest, name: str, new_name: str) -> None:
    for container in containers(manifest):
        before, _, tag = container["image"].partition(":")
        if before == name:
            container["image"] = f"{new_name}:{tag}"


def of_kind(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    """Those of a kind, by their names."""
    return {each["metadata"]["name"]: each for each in manifests if each["kind"] == kind}


def pod(manifest: Manifest) -> dict[str, Any] | None:
    """The pod that a manifest describes, with its labels under `metadata`; None if it describes none."""
    spec = manifest.get("spec", {})
    if manifest["kind"] == "CronJob":
        spec = spec.get("jobTemplate", {}).get("spec", {})
    return spec.get("template") if manifest["kind"] in ("Deployment", "StatefulSet", "Job", "CronJob") else None


def containers(manifest: Manifest) -> list[dict[str, Any]]:
    """All containers of the pod that a manifest describes."""
    described = pod(manifest)
    if described is None:
        return []
    return described["spec"].get("initContainers", []) + described["spec"]["containers"]


def check(manifest: Manifest, version: str = VERSIONS[-1]) -> None:
    """Raises Invalid, with what is wrong and where."""
    name = f"{manifest.get('kind')} {manifest.get('metadata', {}).get('name')}"
    try:
        if manifest.get("kind") in CUSTOM:
            jsonschema.validate(manifest, CUSTOM[manifest["kind"]])
        else:
            kubernetes_validate.validate(manifest, version, strict=True)
    except (jsonschema.ValidationError, kubernetes_validate.ValidationError) as error:
        raise Invalid(f"{name}: {error.message} at {list(error.path)}") from error
    except (kubernetes_validate.SchemaNotFoundError, kubernetes_validate.InvalidSchemaError) as error:
        raise Invalid(f"{name}: Kubernetes {version} has no such kind") from error


def _closed(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    properties = {**required, **(optional or {})}
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


_NAME = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"}
_TEXT = {"type": "string", "minLength": 1}
_COUNT = {"type": "integer", "minimum": 0}
_NUMBER_AS_TEXT = {"type": "string", "pattern": r"^\d+(\.\d+)?$"}
_METADATA = _closed({"name": _NAME}, {"namespace": _NAME, "labels": {"type": "object"}})
_POLICY = _closed({"type": {"enum": ["Percent", "Pods"]}, "value": _COUNT, "periodSeconds": {"type": "integer"}})
_RULES = _closed({}, {"stabilizationWindowSeconds": _COUNT, "policies": {"type": "array", "items": _POLICY}})
_TRIGGER = _closed(
    {
        "type": {"const": "postgresql"},
        "metricType": {"enum": ["AverageValue", "Value"]},
        "metadata": _closed({"query": _TEXT, "targetQueryValue": _NUMBER_AS_TEXT}),
        "authenticationRef": _closed({"name": _NAME}),
    }
)
_PARAMETERS = ["host", "port", "userName", "password", "dbName", "sslmode"]
_FROM_SECRET = _closed({"parameter": {"enum": _PARAMETERS}, "name": _NAME, "key": _TEXT})


def _kind(kind: str, spec: dict[str, Any], version: str = "keda.sh/v1alpha1") -> dict[str, Any]:
    return _closed({"apiVersion": {"const": version}, "kind": {"const": kind}, "metadata": _METADATA, "spec": spec})


_SCRAPED = "monitoring.coreos.com/v1"
_RULE = _closed({"alert": _TEXT, "expr": _TEXT}, {"for": _TEXT, "labels": {"type": "object"}, "annotations": {}})
CUSTOM: dict[str, dict[str, Any]] = {
    "ScaledObject": _kind(
        "ScaledObject",
        _closed(
            {
                "scaleTargetRef": _closed({"name": _NAME}),
                "minReplicaCount": _COUNT,
                "maxReplicaCount": _COUNT,
                "triggers": {"type": "array", "items": _TRIGGER, "minItems": 1},
            },
            {
                "pollingInterval": _COUNT,
                "cooldownPeriod": _COUNT,
                "advanced": _closed(
                    {"horizontalPodAutoscalerConfig": _closed({"behavior": _closed({"scaleDown": _RULES})})}
                ),
            },
        ),
    ),
    "TriggerAuthentication": _kind(
        "TriggerAuthentication", _closed({"secretTargetRef": {"type": "array", "items": _FROM_SECRET, "minItems": 1}})
    ),
    "PodMonitor": _kind(
        "PodMonitor",
        _closed(
            {
                "selector": _closed({"matchLabels": {"type": "object"}}),
                "podMetricsEndpoints": {"type": "array", "items": _closed({"port": _NAME}, {"interval": _TEXT})},
            },
            {"jobLabel": _TEXT},
        ),
        _SCRAPED,
    ),
    "PrometheusRule": _kind(
        "PrometheusRule",
        _closed(
            {
                "groups": {
                    "type": "array",
                    "items": _closed({"name": _TEXT, "rules": {"type": "array", "items": _RULE}}, {"interval": _TEXT}),
                }
            }
        ),
        _SCRAPED,
    ),
}
