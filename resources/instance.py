"""Dagster's instance in the home: the project's dagster.yaml, with the database and the launcher that were named."""

import importlib.util
import os

import yaml

from forge_dagster.compute_profile import KubernetesProfile, profile
from forge_dagster.errors import UserError
from forge_dagster.home import PROJECT, home
from forge_dagster.provenance.files import write_atomically
from resources.pods import launcher_config


def prepare_dagster_home() -> None:
    """Create Dagster's home with the project's dagster.yaml, unless the user brought his own DAGSTER_HOME."""
    folder = home().dagster
    if os.environ["DAGSTER_HOME"] != str(folder):
        return
    folder.mkdir(parents=True, exist_ok=True)
    database = os.environ.get("FORGE_DATABASE")
    text = (PROJECT / "dagster.yaml").read_text(encoding="utf-8") + _storage(database) + _launcher(database)
    write_atomically(folder / "dagster.yaml", text.encode())


def _storage(database: str | None) -> str:
    """The storage part of dagster.yaml: none for SQLite; PostgreSQL by the address in FORGE_DATABASE.

    The address stays in the environment, for it may hold a password.
    """
    if not database:
        return ""
    if not database.startswith("postgresql://"):
        raise UserError(
            f"FORGE_DATABASE = {database.partition(':')[0]}:...",
            rule="postgresql://USER:PASSWORD@HOST:PORT/DATABASE",
            mend="correct it, or unset it for SQLite",
        )
    _refuse_without("dagster_postgres", "FORGE_DATABASE is set", "PostgreSQL needs the extra `postgres`", "postgres")
    # SQLAlchemy 2.1 takes psycopg 3 where no driver is named; dagster-postgres brings psycopg2.
    os.environ["FORGE_DATABASE_WITH_DRIVER"] = database.replace("postgresql://", "postgresql+psycopg2://", 1)
    return "\nstorage:\n  postgres:\n    postgres_url: {env: FORGE_DATABASE_WITH_DRIVER}\n"


def _launcher(database: str | None) -> str:
    """The launcher part of dagster.yaml: Jobs of a cluster where the compute profile says so."""
    found = profile()
    if not isinstance(found, KubernetesProfile):
        return ""
    if not database:
        raise UserError(
            "FORGE_COMPUTE names a cluster and FORGE_DATABASE is not set",
            rule="pods share Dagster's storage, and SQLite does not work on a shared volume",
            mend="set FORGE_DATABASE=postgresql://USER:PASSWORD@HOST:PORT/DATABASE",
        )
    _refuse_without("dagster_k8s", "FORGE_COMPUTE names a cluster", "Kubernetes needs the extra `k8s`", "k8s,postgres")
    launcher = {"module": "dagster_k8s", "class": "K8sRunLauncher", "config": launcher_config(found)}
    return "\n" + yaml.safe_dump({"run_launcher": launcher}, sort_keys=False)


def _refuse_without(package: str, problem: str, rule: str, extras: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise UserError(problem, rule=rule, mend=f"pip install --constraint constraints.txt --editable '.[{extras}]'")
