"""What a request reads with: a session that leaves nothing behind but what Postgres has prepared for the next one."""

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text

from services.api.parts import parts
from shared.database.tables import Job
from tests.integration.api.conftest import submitted


def application(client: FlaskClient) -> Flask:
    app = client.application
    assert isinstance(app, Flask)
    return app


def test_what_is_changed_while_reading_is_not_written(client: FlaskClient) -> None:
    job = submitted(client, ("a.jpg", b"a")).get_json()
    with application(client).test_request_context():
        with parts().session() as session:
            session.scalars(select(Job)).one().name = "changed"
        with parts().session() as session:
            assert session.scalars(select(Job)).one().name == job["name"]


def test_a_status_is_planned_once_however_often_it_is_asked_for(client: FlaskClient) -> None:
    job = submitted(client, ("a.jpg", b"a")).get_json()
    for _ in range(8):
        assert client.get(job["links"]["self"]).status_code == 200
    with application(client).test_request_context(), parts().session() as session:
        prepared = session.scalars(text("select statement from pg_prepared_statements")).all()
    assert any("from job_counts" in statement for statement in prepared)
