"""Connections to Postgres that the server has ended."""

from sqlalchemy import Engine, text

from shared.database.session import connect


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
