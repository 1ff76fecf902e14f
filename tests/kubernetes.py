"""Reads services/kubernetes as `kubectl kustomize` would, where there is no kubectl, and checks it by schema.

Kubernetes' own schemas are those of the package kubernetes-validate. KEDA's are in no package: `KEDA` states, in our
own words and after KEDA's documentation, what we use of it. A field that stands in neither is an error.
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
VERSION = "1.37"

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
        if not generator.get("options", {}).get("disableNameSuffixHash"):
            _add_hash(made, generator["name"])
    for name in kustomization.get("components", []):
        made = _built(folder / name, made)
    for patch in kustomization.get("patches", []):
        made = list(_patched(made, patch))
    for manifest in made:
        if "namespace" in kustomization and manifest["kind"] != "Namespace":
            manifest["metadata"]["namespace"] = kustomization["namespace"]
        for image in kustomization.get("images", []):
            _move_image(manifest, image["name"], image["newName"])
    return made


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


def pod(manifest: Manifest) -> dict[str, Any] | None:
    """The pod that a manifest describes, with its labels under `metadata`; None if it describes none."""
    return (
        manifest.get("spec", {}).get("template") if manifest["kind"] in ("Deployment", "StatefulSet", "Job") else None
    )


def containers(manifest: Manifest) -> list[dict[str, Any]]:
    """All containers of the pod that a manifest describes."""
    described = pod(manifest)
    if described is None:
        return []
    return described["spec"].get("initContainers", []) + described["spec"]["containers"]


def check(manifest: Manifest) -> None:
    """Raises Invalid, with what is wrong and where."""
    name = f"{manifest.get('kind')} {manifest.get('metadata', {}).get('name')}"
    try:
        if manifest.get("kind") in KEDA:
            jsonschema.validate(manifest, KEDA[manifest["kind"]])
        else:
            kubernetes_validate.validate(manifest, VERSION, strict=True)
    except (jsonschema.ValidationError, kubernetes_validate.ValidationError) as error:
        raise Invalid(f"{name}: {error.message} at {list(error.path)}") from error
    except (kubernetes_validate.SchemaNotFoundError, kubernetes_validate.InvalidSchemaError) as error:
        raise Invalid(f"{name}: Kubernetes {VERSION} has no such kind") from error


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


def _kind(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    version = {"const": "keda.sh/v1alpha1"}
    return _closed({"apiVersion": version, "kind": {"const": kind}, "metadata": _METADATA, "spec": spec})


KEDA: dict[str, dict[str, Any]] = {
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
}
