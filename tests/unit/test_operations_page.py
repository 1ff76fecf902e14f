"""What docs/operations.md tells an operator to look at or to type exists."""

import re
from pathlib import Path

from services.local.folder import DataFolder
from shared.errors import PartUnavailable
from shared.jobs import health
from shared.pipeline.stages import PLANS, QUEUES
from shared.settings import LocalSettings, Settings
from tests.compose import ROOT, optional_variables, required_variables

PAGE = (ROOT / "docs" / "operations.md").read_text()


def test_settings_exist() -> None:
    known = set(Settings.model_fields) | set(LocalSettings.model_fields)
    named = {name.lower() for name in re.findall(r"FACEMEM_([A-Z0-9_]+)", PAGE)}
    assert len(named) > 8
    assert named <= known
    for name in ("COMPUTE_CORES", "PIP_EXTRA_INDEX_URL", "FLOWER_PASSWORD", "FLOWER_URL"):
        assert name in PAGE
        assert name in required_variables() | optional_variables()


def test_every_trouble_is_told_of_and_no_other() -> None:
    codes = {each.code for each in PartUnavailable.__subclasses__()} | {"unavailable"}
    table = PAGE.partition("| code |")[2].partition("\n\n")[0]
    told = set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE))
    possible = {"unavailable", "broker_unavailable", health.DispatcherSilent.code, health.StageUnattended.code}
    possible |= set(health._PARTS)
    assert told == possible <= codes


def test_files_modules_and_names_exist(tmp_path: Path) -> None:
    for path in re.findall(r"`((?:tests|services|shared)/[\w/.]+)`", PAGE):
        assert (ROOT / path).exists(), path
    for module in re.findall(r"python -m ([\w.]+)", PAGE):
        place = ROOT / module.replace(".", "/")
        assert place.is_dir() or place.with_suffix(".py").is_file(), module
    assert all(f"`{plan.task}`" in PAGE for plan in PLANS.values())
    assert {"detection", "detection.interactive"} <= set(QUEUES)
    assert f"`{DataFolder(tmp_path).flower_password.name}`" in PAGE
