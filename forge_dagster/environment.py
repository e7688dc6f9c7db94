"""Closed by default: libraries stay offline and silent, and Dagster's storage lies in the home."""

import os

from forge_dagster.home import home

CLOSED = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "False",
    "DVC_NO_ANALYTICS": "1",
    "DAGSTER_DISABLE_TELEMETRY": "1",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "WANDB_DISABLED": "true",
    # Threads that spin while they wait burn the cores that other steps compute on.
    "OMP_WAIT_POLICY": "passive",
}


def close() -> None:
    """Set what every process of the project runs under; call before importing the libraries."""
    os.environ.update(CLOSED)
    dagster_home = home().dagster
    os.environ.setdefault("DAGSTER_HOME", str(dagster_home))
    # A tick may walk a large source, and read what changed in it.
    os.environ.setdefault("DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS", "900")
    os.environ.setdefault("HF_HOME", str(home().work / "huggingface"))
