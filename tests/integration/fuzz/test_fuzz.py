"""A property-based fuzzer against the served API, with the keys of two tenants.

It reads the OpenAPI document, makes requests that fit it and requests that do not, follows answers into further ones,
and holds every answer against the document. Afterwards the other tenant's rows and objects must be as they were.

FACEMEM_FUZZ_SECONDS=1800 lets it go on for longer, FACEMEM_FUZZ_SEED varies it, FACEMEM_FUZZ_REPORT names a file for
the whole report.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from shared.pipeline.connections import Connections
from tests.integration.planted import Planted, snapshot

SECONDS = int(os.environ.get("FACEMEM_FUZZ_SECONDS", "40"))
SEED = int(os.environ.get("FACEMEM_FUZZ_SEED", "4"))
REPORT_LINES = 200
EXPECTED = ("2xx", "3xx", "400", "401", "403", "404", "409", "413", "422", "429")
PROGRAM = str(Path(sys.executable).with_name("st"))

CONFIG = """
seed = {seed}
max-time = {seconds}
hooks = "{hooks}"
request-timeout = 20
max-stream-events = 3
continue-on-failure = true
warnings = false
color = false

[dictionaries]
{dictionaries}

[parameters]
{parameters}

[auth.wfc]
path = "{identities}"
user = "anna"
peers = ["anna", "bert"]

[generation]
database = "none"

# What no schema can say is refused with these: a bundle that is not here, a cursor of another list, more than a limit.
[checks.positive_data_acceptance]
expected-statuses = [{expected}]

[reports.ndjson]
enabled = false
"""


@pytest.mark.timeout(SECONDS + 300)
def test_no_request_breaks_the_api_its_document_or_the_wall_between_tenants(
    served: tuple[str, Path],
    tenants: tuple[Planted, Planted],
    connections: Connections,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (url, log), (anna, bert) = served, tenants
    before = _all_of(connections, bert)

    done = subprocess.run(
        [PROGRAM, "--config-file", str(_config(tmp_path, anna, bert)), "run", f"{url}/openapi.json"],
        env={**os.environ, "FACEMEM_FUZZ_OWN_KEY": str(anna.key_id)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS + 240,
    )
    report = done.stdout + done.stderr
    if path := os.environ.get("FACEMEM_FUZZ_REPORT"):
        Path(path).write_text(report + "\n\nThe API's log:\n" + log.read_text())
    with capsys.disabled():
        print(f"\nfuzzer, seed {SEED}, {SECONDS} s:", *_summary(report), sep="\n  ")

    assert _all_of(connections, bert) == before, "another tenant's rows or objects changed"
    assert done.returncode == 0, report[-30_000:]
    assert "request_broke" not in log.read_text()


def _all_of(connections: Connections, tenant: Planted) -> tuple[object, list[str]]:
    with connections.database.begin() as connection:
        rows = snapshot(connection, tenant.tenant)
    jobs = tuple(f"jobs/{job}/" for job in (tenant.job, tenant.open_job))
    return rows, sorted(key for key in connections.objects.keys("") if key.startswith(jobs))


def _config(folder: Path, anna: Planted, bert: Planted) -> Path:
    """A configuration of the fuzzer in which ids are now made up, now anna's, now bert's."""
    identities = folder / "identities.json"
    headers = [
        {"name": who.tenant, "fixedHeaders": [{"name": "Authorization", "value": who.headers["Authorization"]}]}
        for who in (anna, bert)
    ]
    identities.write_text(json.dumps({"auth": headers}))
    ids = {
        "job_id": [str(anna.job), str(anna.open_job), str(bert.job)],
        "image_id": [*anna.images, bert.images[0]],
        "face_id": [*anna.faces, bert.faces[0]],
        # Both have to be anna's for a request to get through, so hers come up more often.
        "webhook_id": [*[str(anna.webhook)] * 4, str(bert.webhook)],
        "delivery_id": [*[str(anna.delivery)] * 4, str(bert.delivery)],
        "upload_id": [str(anna.upload), str(bert.upload)],
        "deletion_id": [str(anna.deletion), str(bert.deletion)],
        "key_id": [str(bert.key_id)],
    }
    path = folder / "schemathesis.toml"
    path.write_text(
        CONFIG.format(
            seed=SEED,
            seconds=SECONDS,
            expected=", ".join(f'"{status}"' for status in EXPECTED),
            hooks=Path(__file__).with_name("hooks.py"),
            identities=identities,
            dictionaries="\n".join(f"{name} = {{ values = {json.dumps(values)} }}" for name, values in ids.items()),
            parameters="\n".join(f'"path.{name}" = {{ dictionary = "{name}", probability = 0.7 }}' for name in ids),
        )
    )
    return path


def _summary(report: str) -> list[str]:
    """The end of the fuzzer's report: operations, phases, cases, failures."""
    lines = report.splitlines()
    starts = [number for number, line in enumerate(lines) if re.search(r"=+ SUMMARY =+", line)]
    return lines[starts[-1] :] if starts else lines[-REPORT_LINES:]
