"""What Dagster's instance is told in a cluster: its database, and where the logs of steps lie."""

from resources.cluster.parts import DAGSTER_DATABASE_PASSWORD, HOME, Manifest
from resources.cluster.site import Site

DATABASE_SCHEME = "postgresql+psycopg2"
"""SQLAlchemy 2.1 takes psycopg 3 where no driver is named; dagster-postgres brings psycopg2."""
LOGS = f"{HOME}/dagster/storage"


def database_config(site: Site) -> Manifest:
    """Dagster's PostgreSQL storage; the password stays in the environment."""
    database = site.database
    return {
        "username": database.user,
        "password": {"env": DAGSTER_DATABASE_PASSWORD},
        "hostname": database.host,
        "db_name": database.name,
        "port": database.port,
        "params": {"sslmode": database.sslmode},
        "scheme": DATABASE_SCHEME,
    }


def compute_logs() -> Manifest:
    """Output of steps on the claim, where every pod reads it."""
    return {
        "module": "dagster._core.storage.local_compute_log_manager",
        "class": "LocalComputeLogManager",
        "config": {"base_dir": LOGS},
    }


def local_storage() -> Manifest:
    """What Dagster would else write into DAGSTER_HOME, which is part of the image."""
    return {
        "module": "dagster._core.storage.root",
        "class": "LocalArtifactStorage",
        "config": {"base_dir": f"{HOME}/dagster"},
    }
