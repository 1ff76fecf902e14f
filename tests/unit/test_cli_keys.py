"""`facemem keys` against the real API: what it prints where, and what its keys open."""

import pytest
from click.testing import CliRunner, Result

from services.api.keys.stored import FORM
from services.cli.main import cli


@pytest.fixture
def keys(api_url: str):
    def run(*arguments: str, code: int = 0) -> Result:
        done = CliRunner().invoke(cli, ["keys", *arguments, "--api", api_url])
        assert done.exit_code == code, done.output
        return done

    return run


def test_a_key_is_made_listed_and_revoked(keys):
    made = keys("create", "--name", "the press office", "--scope", "admin", "--scope", "read", "--expires", "90d")
    key = made.stdout.strip()
    assert FORM.fullmatch(key)
    assert "read, admin" in made.stderr.replace("\n", " ")
    assert key not in made.stderr

    listed = keys("list").stdout
    assert key[:11] in listed
    assert "valid until" in listed
    assert key[12:] not in listed

    with_it = keys("list", "--key", key).stdout
    assert key[:11] in with_it

    assert "is revoked" in keys("revoke", key[:11]).stderr
    assert "revoked" in keys("list").stdout
    assert "not known here" in keys("list", "--key", key, code=1).output.replace("\n", " ")


def test_without_a_word_on_scopes_a_key_submits_and_reads(keys):
    assert "submit, read" in keys("create", "--name", "x").stderr.replace("\n", " ")


def test_a_key_that_is_not_there_is_not_revoked(keys):
    assert "There is no key fm_aaaaaaaa" in keys("revoke", "fm_aaaaaaaa", code=1).output


def test_a_key_of_another_tenant(keys):
    key = keys("create", "--name", "x", "--tenant", "acme", "--scope", "admin").stdout.strip()
    assert key[:11] not in keys("list").stdout
    assert key[:11] in keys("list", "--key", key).stdout
