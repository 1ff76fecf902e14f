"""The rooms import each other only as `.importlinter` allows, and process kinds stay light."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_import_contracts_hold() -> None:
    found = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize(
    "module",
    [
        "services.api.factory",
        "services.client",
        "services.cli.main",
        "workers.dispatcher.dispatch",
        "workers.intake.task",
        "shared.images.decoder",
    ],
)
def test_light_processes_load_no_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_client_needs_neither_web_framework_nor_database() -> None:
    foreign = {"flask", "flask_openapi3", "sqlalchemy", "boto3", "celery", "redis", "numpy", "PIL"}
    code = f"import sys, services.client; sys.exit(', '.join({foreign} & set(sys.modules)) or 0)"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
