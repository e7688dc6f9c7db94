"""Loaded by the fork server of steps: what each step would otherwise read for itself, for half a second."""

import dagster._core.storage.sqlite_storage  # noqa: F401

from forge_dagster.provenance.surroundings import surroundings

surroundings()
