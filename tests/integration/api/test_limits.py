"""All limits can be read, and each error names one of them."""

from flask.testing import FlaskClient

from services.api import limits
from shared.settings import Settings
from tests.integration.api.conftest import LIMITS


def test_every_limit_is_told_with_its_value(client: FlaskClient) -> None:
    told = {limit["name"]: limit for limit in client.get("/v1/limits").get_json()["limits"]}
    assert {name: told[name]["value"] for name in LIMITS} == LIMITS
    assert all(limit["description"] for limit in told.values())
    assert set(limits.SETTINGS) <= told.keys()


def test_every_setting_that_is_a_limit_of_requests_is_told() -> None:
    internal = {"max_run_seconds"}
    named = {name for name in Settings.model_fields if name.startswith("max_")} - internal
    assert named <= set(limits.SETTINGS)
