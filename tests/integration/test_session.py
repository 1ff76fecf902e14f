"""Connections to Postgres: those that the server has ended, and what they say of themselves and in errors."""

from importlib.metadata import version
from traceback import format_exception
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from shared.database.session import connect
from shared.jobs.accept import NewImage, NewJob, accept


def test_connections_that_the_server_has_ended_cost_nobody_an_error(database: Engine) -> None:
    engine = connect(database.url.render_as_string(hide_password=False))
    mine = text("select pg_backend_pid()")
    with engine.connect() as one, engine.connect() as other:
        ended = {one.execute(mine).scalar_one(), other.execute(mine).scalar_one()}
    assert engine.pool.checkedin() == 2, "both wait in the pool"
    with database.connect() as killer:
        for process in ended:
            assert killer.execute(
                text("select pg_terminate_backend(:process, 5000)"), {"process": process}
            ).scalar_one()
    with engine.connect() as one, engine.connect() as other:
        assert not ended & {one.execute(mine).scalar_one(), other.execute(mine).scalar_one()}
    engine.dispose()


def test_a_connection_is_used_again(database: Engine) -> None:
    engine = connect(database.url.render_as_string(hide_password=False))
    processes = set()
    for _ in range(3):
        with engine.connect() as connection:
            processes.add(connection.execute(text("select pg_backend_pid()")).scalar_one())
    assert len(processes) == 1
    engine.dispose()


def test_a_connection_that_is_closed_already_costs_nobody_an_error(database: Engine) -> None:
    engine = connect(database.url.render_as_string(hide_password=False))
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
    driver.close()
    with engine.connect() as connection:
        assert connection.execute(text("select 1")).scalar_one() == 1
    engine.dispose()


def test_errors_do_not_repeat_what_was_sent(database: Engine) -> None:
    """They end up in logs, and captions and names of files are among it."""
    engine = connect(database.url.render_as_string(hide_password=False))
    row = {"name": "ada-lovelace.jpg"}
    with engine.connect() as connection, pytest.raises(DBAPIError) as broken:
        connection.execute(text("select 1 / 0 where :name <> ''"), row)
    assert "division by zero" in str(broken.value)
    assert "ada-lovelace" not in str(broken.value)
    with engine.connect() as connection, pytest.raises(DBAPIError) as broken:
        connection.execute(text("insert into images (name) values (:name)"), row)
    told = "".join(format_exception(broken.value))
    assert "23502: null value in column" in told
    assert "ada-lovelace" not in told, "as Postgres itself quotes the row"
    engine.dispose()


def test_errors_do_not_repeat_the_line_of_a_copy(database: Engine) -> None:
    job = NewJob(id=uuid4(), captioner="template", bundle="b")
    image = NewImage(name="a.jpg", source_url="https://example.org/a.jpg", client_metadata={"who": "ada-lovelace\0"})
    with database.connect() as connection, pytest.raises(psycopg.Error) as broken:
        accept(connection, job, [image])
    told = "".join(format_exception(broken.value))
    assert "22P05: unsupported Unicode escape sequence" in told
    assert "ada-lovelace" not in told


def test_connections_say_which_version_they_are_of(database: Engine) -> None:
    with database.connect() as connection:
        assert connection.scalar(text("show application_name")) == f"facemem {version('facemem')}"


def test_processes_that_want_a_few_rows_never_plan_to_read_a_whole_table(database_url: str) -> None:
    """Plans that were made while a table had a page are kept."""
    by_index = connect(database_url, by_index=True)
    look = text("explain select tenant from jobs where id = :job")
    for _ in range(2):  # also for a connection that was used before
        with by_index.connect() as connection:
            assert "Index Scan" in str(connection.execute(look, {"job": uuid4()}).scalars().first())
    with by_index.begin() as connection:
        assert connection.execute(text("select count(*) from images")).scalar_one() == 0, "but what has to, does"
    by_index.dispose()
