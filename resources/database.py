"""Errors of Dagster's database in plain words: which one, what holds it, what mends it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DatabaseError, OperationalError

from forge_dagster.errors import BusyError, IntegrityError

DAMAGED = ("malformed", "not a database", "no such table", "no such column")


@contextmanager
def plain_database_errors() -> Iterator[None]:
    """Raise BusyError if the database stays locked or away, IntegrityError if its file is damaged.

    Dagster waits for a lock of SQLite for 30 s at a time.
    """
    where = "FORGE_DATABASE" if os.environ.get("FORGE_DATABASE") else f"{os.environ['DAGSTER_HOME']}/storage"
    try:
        yield
    except DatabaseError as error:
        said = str(error.orig)
        if any(word in said for word in DAMAGED):
            raise IntegrityError(
                f"Dagster's database in {where} is damaged: {said}",
                rule="it is an index: artifacts, records and ledger are not in it",
                mend="move it away, then run: forge rebuild-index",
            ) from error
        if isinstance(error, OperationalError):
            raise BusyError(
                f"Dagster's database in {where} cannot be used: {said}",
                rule="one process at a time writes; each waits for 30 s",
                mend="stop what holds it, or start the server, then run the same command again",
            ) from error
        raise
