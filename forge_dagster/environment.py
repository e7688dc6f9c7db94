"""Closed by default: libraries stay offline and silent, and Dagster's storage lies in the home."""

import os
import shutil

from forge_dagster.home import PROJECT, home

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
    os.environ.setdefault("HF_HOME", str(home().work / "huggingface"))


def prepare_dagster_home() -> None:
    """Create Dagster's home with the project's dagster.yaml, unless the user brought his own DAGSTER_HOME."""
    folder = home().dagster
    if os.environ["DAGSTER_HOME"] != str(folder):
        return
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(PROJECT / "dagster.yaml", folder / "dagster.yaml")
