"""What docker-compose.yml and the Dockerfile say; `tests/integration/test_compose.py` has them run."""

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.jobs.states import Stage
from tests.compose import (
    OURS,
    ROOT,
    SECRETS,
    SERVERS,
    SHOW_METRICS,
    Image,
    Unset,
    missing_modules,
    optional_variables,
    plain,
    read_compose,
    read_images,
    required_variables,
)

RESTARTED = {"migrate": "on-failure", "ollama-model": "on-failure", "doctor": "no"}
MONITORING = ("prometheus", "grafana")
ONCE = ("migrate", "ollama-model", "doctor")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return read_compose(SECRETS)


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    return compose["services"]


@pytest.fixture(scope="module")
def images() -> dict[str, Image]:
    return read_images()


def test_nothing_is_forgotten(services: dict[str, Any]) -> None:
    assert set(services) == {*OURS, *SERVERS, "ollama-model"}
    profiles = {name: service["profiles"] for name, service in services.items() if "profiles" in service}
    llm, monitoring = ["llm"], ["monitoring"]
    expected = {"ollama": llm, "ollama-model": llm, "prometheus": monitoring, "grafana": monitoring}
    assert profiles == {**expected, "doctor": ["doctor"]}


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_no_secret_has_a_default(name: str) -> None:
    with pytest.raises(Unset, match=f"{name}: Set it in .env"):
        read_compose({**SECRETS, name: ""})


def test_an_installation_of_before_goes_on_to_start() -> None:
    """A variable that the file insists on is asked of everybody, whatever they start: there shall be no further one."""
    old = {"POSTGRES_PASSWORD", "REDIS_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY", "FLOWER_PASSWORD"}
    assert required_variables() == old


@pytest.mark.parametrize("password", ["", "chosen"])
def test_grafana_starts_with_a_password_that_was_chosen_and_not_without(password: str) -> None:
    grafana = read_compose({**SECRETS, "GRAFANA_PASSWORD": password})["services"]["grafana"]
    shell = [word.replace("exec /run.sh", "exec echo it runs") for word in grafana["entrypoint"]]
    started = subprocess.run(shell, env=grafana["environment"], capture_output=True, text=True, check=False)
    if password:
        assert (started.returncode, started.stdout) == (0, "it runs\n")
    else:
        assert started.returncode == 1
        assert "Set GRAFANA_PASSWORD in .env" in started.stdout


def test_the_example_names_every_variable_and_gives_no_secret() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    example = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))

    assert set(example) == required_variables() | optional_variables()
    assert {example[name] for name in (*required_variables(), "GRAFANA_PASSWORD")} == {""}


def test_every_service_is_pinned_limited_restarted_and_checked(services: dict[str, Any]) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for name, service in services.items():
        tag = service["image"].partition(":")[2]
        assert tag == version if name in OURS else re.fullmatch(r"v?\d+(\.\d+)+", tag), name
        assert service["deploy"]["resources"]["limits"]["memory"], name
        assert service["restart"] == RESTARTED.get(name, "unless-stopped"), name
        assert ("healthcheck" in service) == (name not in ONCE), name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["logging"]["options"]["max-size"], name


def test_our_processes_can_do_little_harm(services: dict[str, Any], images: dict[str, Image]) -> None:
    for name in OURS:
        assert services[name]["read_only"], name
        assert services[name]["cap_drop"] == ["ALL"], name
        assert services[name]["init"], name
        assert images[name].user == "facemem", name


def test_a_limit_holds_for_everybody_who_asks_whether_it_is_met() -> None:
    services = read_compose({**SECRETS, "MAX_STORED_BYTES": "5"})["services"]
    assert {services[name]["environment"]["FACEMEM_MAX_STORED_BYTES"] for name in ("api", "intake")} == {"5"}


def test_other_settings_reach_every_process_of_ours(services: dict[str, Any]) -> None:
    assert {name for name, service in services.items() if "env_file" in service} == set(OURS)
    assert all(services[name]["env_file"] == [{"path": "settings.env", "required": False}] for name in OURS)


def test_a_machine_of_one_core_can_start_it() -> None:
    services = read_compose({**SECRETS, "COMPUTE_CORES": "1"})["services"]
    limits = {name: service["deploy"]["resources"]["limits"] for name, service in services.items()}
    assert {limit["cpus"] for limit in limits.values() if "cpus" in limit} == {"1"}


def test_only_what_people_and_uploads_reach_is_published_and_only_on_this_machine(services: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}

    assert published == {
        "s3": ["127.0.0.1:8333:8333"],
        "api": ["127.0.0.1:8400:8400"],
        "flower": ["127.0.0.1:5555:5555"],
        "prometheus": ["127.0.0.1:9090:9090"],
        "grafana": ["127.0.0.1:3000:3000"],
    }


def test_any_worker_can_be_scaled(services: dict[str, Any]) -> None:
    for stage in Stage:
        assert not {"container_name", "hostname", "ports"} & set(services[stage]), stage
        assert all(volume.endswith(":ro") for volume in services[stage].get("volumes", [])), stage
        assert "--name" not in services[stage]["command"], stage


def test_the_images_are_what_compose_builds(services: dict[str, Any], images: dict[str, Image]) -> None:
    for name in OURS:
        assert services[name]["build"]["target"] == name
        assert images[name].command == json.dumps(services[name]["command"]), name
    assert set(images) == {"base", *OURS}


def test_no_image_holds_more_than_it_needs(images: dict[str, Image]) -> None:
    for name in ("migrate", "api", "flower", "dispatcher", "intake", "captioning"):
        assert "torch" in images[name].modules_left_out(), name
    for name in OURS:
        for other in {"flask", "flower", "transformers", "facenet_pytorch"} - {
            "api": {"flask"},
            "flower": {"flower"},
            "embedding": {"transformers", "facenet_pytorch"},
            "detection": {"facenet_pytorch"},
        }.get(name, set()):
            assert other in images[name].modules_left_out(), (name, other)


def test_every_image_holds_what_its_code_imports(images: dict[str, Image], tmp_path: Path) -> None:
    for name in OURS:
        images[name].lay_out(tmp_path / name)
        assert missing_modules(tmp_path / name) == set(), name


def test_every_package_of_an_image_is_pinned(images: dict[str, Image]) -> None:
    pinned = {line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    for name in OURS:
        assert images[name].packages() <= set(map(plain, pinned)), name


def test_the_gpu_overlay_changes_services_that_exist(services: dict[str, Any]) -> None:
    overlay = yaml.safe_load((ROOT / "compose.gpu.yml").read_text())["services"]
    assert set(overlay) == {"detection", "embedding", "ollama"}
    for name, service in overlay.items():
        (device,) = service["deploy"]["resources"]["reservations"]["devices"]
        assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
        assert service.get("environment", {}) == ({} if name == "ollama" else {"FACEMEM_DEVICE": "cuda"})


def test_the_s3_server_knows_the_keys_that_our_processes_use(compose: dict[str, Any]) -> None:
    (identity,) = json.loads(compose["configs"]["s3-identities"]["content"])["identities"]
    settings = compose["services"]["detection"]["environment"]

    assert identity["credentials"] == [
        {"accessKey": settings["FACEMEM_S3_ACCESS_KEY"], "secretKey": settings["FACEMEM_S3_SECRET_KEY"]}
    ]
    assert "-s3.config=/etc/seaweedfs/s3.json" in compose["services"]["s3"]["command"]
    assert compose["services"]["s3"]["configs"] == [{"source": "s3-identities", "target": "/etc/seaweedfs/s3.json"}]


def test_prometheus_looks_where_every_process_shows_its_metrics(services: dict[str, Any]) -> None:
    config = yaml.safe_load((ROOT / "services/monitoring/prometheus.yml").read_text())
    ours, more, flower = config["scrape_configs"]
    [containers] = ours["dns_sd_configs"]
    assert set(containers["names"]) == set(SHOW_METRICS)
    for name in SHOW_METRICS:
        environment = services[name]["environment"]
        shown = (environment["FACEMEM_METRICS_HOST"], environment["FACEMEM_METRICS_PORT"])
        assert shown == ("0.0.0.0", containers["port"]), name
        assert "default" in services[name]["networks"], name
    # Further processes of the API: their metrics are of `api`, and that they are not there is no alarm.
    further = [{**containers, "names": ["api"], "port": containers["port"] + number} for number in (1, 2, 3)]
    assert more["dns_sd_configs"] == further
    assert more["job_name"] not in SHOW_METRICS
    assert more["metric_relabel_configs"] == [{"target_label": "job", "replacement": "api"}]
    assert flower["static_configs"] == [{"targets": ["flower:5555"]}]


@pytest.mark.parametrize("name", MONITORING)
def test_what_monitoring_reads_is_there(services: dict[str, Any], name: str) -> None:
    files = [volume.split(":") for volume in services[name]["volumes"] if volume.startswith("./")]
    assert files
    assert [source for source, _, mode in files if mode != "ro" or not (ROOT / source).is_file()] == []
    named = {target for _, target, _ in files}
    config = yaml.safe_load((ROOT / "services/monitoring/prometheus.yml").read_text())
    provider = yaml.safe_load((ROOT / "services/monitoring/grafana/dashboards.yml").read_text())["providers"][0]
    source = yaml.safe_load((ROOT / "services/monitoring/grafana/datasource.yml").read_text())["datasources"][0]
    if name == "prometheus":
        assert set(config["rule_files"]) <= named
        assert "--config.file=/etc/prometheus/prometheus.yml" in services[name]["command"]
    else:
        assert services[name]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] in named
        assert f"{provider['options']['path']}/facemem.json" in named
        assert source["url"] == "http://prometheus:9090"
