"""Where the project and an organisation's state lie on this machine."""

import os
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Home:
    """The state of one organisation: artifacts, runs, ledger, Dagster's own storage."""

    root: Path

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def verdicts(self) -> Path:
        return self.root / "verdicts"

    @property
    def ledger(self) -> Path:
        return self.root / "ledger.jsonl"

    @property
    def dagster(self) -> Path:
        return self.root / "dagster"


def home() -> Home:
    """The home named by FORGE_HOME, else `data/` of the project."""
    return Home(Path(os.environ.get("FORGE_HOME") or PROJECT / "data").resolve())


def shared_store() -> str | None:
    """Address of the store that this home shares with others, by FORGE_STORE; None: it is alone."""
    return os.environ.get("FORGE_STORE") or None


def folder_of(kind: str) -> Path:
    """The folder of `recipes`, `sources`, `policies` or `evals`; FORGE_RECIPES and the like name another."""
    return Path(os.environ.get(f"FORGE_{kind.upper()}") or PROJECT / kind).resolve()
