"""Who reaches what under docker-compose.yml: nobody gets to a server without credentials, from outside or from beside.

That Redis and Flower do ask for theirs, `test_compose.py` tries with real ones.
"""

import json
import re
from typing import Any

import pytest
import yaml

from shared.jobs.states import Stage
from tests.compose import ROOT, SECRETS, read_compose

GUARDED = ("flower", "redis", "s3", "ollama", "postgres", "prometheus", "grafana")
KEYS = {"FACEMEM_S3_ACCESS_KEY": SECRETS["S3_ACCESS_KEY"], "FACEMEM_S3_SECRET_KEY": SECRETS["S3_SECRET_KEY"]}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return read_compose(SECRETS)


def published(service: dict[str, Any]) -> list[str]:
    """The ports of a service that are open on the host, with the address that they are bound to."""
    assert service.get("network_mode") is None
    return [str(port) for port in service.get("ports", [])]


def members(compose: dict[str, Any], network: str) -> set[str]:
    return {name for name, service in compose["services"].items() if network in service.get("networks", ["default"])}


@pytest.mark.parametrize("name", GUARDED)
def test_none_is_open_to_other_machines(compose: dict[str, Any], name: str) -> None:
    """As the file stands, and with everything in .env that the example names, but S3_BIND, which is there for that."""
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in published(compose["services"][name]))
    asked_for = read_compose({**SECRETS, "API_BIND": "0.0.0.0", "S3_BIND": "0.0.0.0"})["services"][name]
    opened = [port for port in published(asked_for) if not port.startswith("127.0.0.1:")]
    assert opened == (["0.0.0.0:8333:8333"] if name == "s3" else [])


def test_flower_asks_for_a_password_that_everybody_has_to_choose(compose: dict[str, Any]) -> None:
    flower = compose["services"]["flower"]
    assert published(flower) == ["127.0.0.1:5555:5555"]
    assert flower["environment"]["FACEMEM_FLOWER_PASSWORD"] == SECRETS["FLOWER_PASSWORD"]


def test_redis_and_postgres_are_not_published_and_ask_for_passwords(compose: dict[str, Any]) -> None:
    redis, postgres = compose["services"]["redis"], compose["services"]["postgres"]
    assert published(redis) == published(postgres) == []
    asked = redis["command"].index("--requirepass")
    assert redis["command"][asked + 1] == SECRETS["REDIS_PASSWORD"]
    assert postgres["environment"]["POSTGRES_PASSWORD"] == SECRETS["POSTGRES_PASSWORD"]
    assert "POSTGRES_HOST_AUTH_METHOD" not in postgres["environment"], "which could turn the password off"


def test_of_the_storage_only_s3_is_open_and_only_with_keys(compose: dict[str, Any]) -> None:
    """Its filer, volumes and master know no keys. They hand out any object to whoever reaches them."""
    options = dict(option.partition("=")[::2] for option in compose["services"]["s3"]["command"])
    assert options["-ip"] == options["-ip.bind"] == "127.0.0.1"
    assert (options["-s3.ip.bind"], options["-s3.port.iceberg"]) == ("0.0.0.0", "0")
    assert not {"-webdav", "-iam", "-mq.broker", "-sftp", "-filer.ip.bind", "-metricsIp"} & set(options)
    identities = json.loads(compose["configs"]["s3-identities"]["content"])["identities"]
    assert [each["credentials"] for each in identities] == [
        [{"accessKey": SECRETS["S3_ACCESS_KEY"], "secretKey": SECRETS["S3_SECRET_KEY"]}]
    ]
    assert "anonymous" not in {each["name"] for each in identities}


def test_only_who_has_the_keys_is_on_the_network_of_the_storage(compose: dict[str, Any]) -> None:
    assert compose["services"]["s3"]["networks"] == ["storage"]
    for name in members(compose, "storage") - {"s3"}:
        assert compose["services"][name]["environment"].items() >= KEYS.items(), name
    assert members(compose, "storage") == {"s3", "migrate", "api", "dispatcher", "doctor", *Stage}


def test_only_captioning_reaches_ollama_which_knows_no_passwords(compose: dict[str, Any]) -> None:
    assert published(compose["services"]["ollama"]) == []
    assert compose["services"]["ollama"]["networks"] == ["captions"]
    assert members(compose, "captions") == {"ollama", "ollama-model", "captioning"}


def test_grafana_asks_for_a_password_that_who_starts_it_has_to_choose(compose: dict[str, Any]) -> None:
    """`tests/unit/test_compose_files.py` tries to start it without one."""
    environment = compose["services"]["grafana"]["environment"]
    assert environment["GF_SECURITY_ADMIN_PASSWORD"] == ""
    chosen = read_compose({**SECRETS, "GRAFANA_PASSWORD": "chosen"})["services"]["grafana"]["environment"]
    assert chosen["GF_SECURITY_ADMIN_PASSWORD"] == "chosen"
    assert (environment["GF_AUTH_ANONYMOUS_ENABLED"], environment["GF_USERS_ALLOW_SIGN_UP"]) == ("false", "false")


def test_metrics_are_published_nowhere_and_prometheus_only_on_this_machine(compose: dict[str, Any]) -> None:
    """Neither asks for a password."""
    for name, service in compose["services"].items():
        assert not any(port.endswith(":9400") for port in published(service)), name
    assert published(compose["services"]["prometheus"]) == ["127.0.0.1:9090:9090"]
    assert members(compose, "monitoring") == {"prometheus", "grafana"}
    assert compose["services"]["grafana"]["networks"] == ["monitoring"]


def test_every_network_is_one_of_these_and_no_overlay_opens_anything(compose: dict[str, Any]) -> None:
    assert set(compose["networks"]) == {"default", "storage", "captions", "monitoring"}
    for service in compose["services"].values():
        assert set(service.get("networks", ["default"])) <= set(compose["networks"])
    for overlay in ROOT.glob("compose.*.yml"):
        for name, service in yaml.safe_load(overlay.read_text())["services"].items():
            assert not {"ports", "networks", "network_mode", "command"} & set(service), (overlay.name, name)
