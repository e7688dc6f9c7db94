"""A nano organisation: forty documents and a recipe of seconds, in a home of its own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import yaml

from forge_dagster.home import PROJECT

NANO_MODEL = {"hidden_size": 32, "intermediate_size": 64, "layers": 2, "heads": 2, "kv_heads": 2, "head_dim": 16}
NANO_SETTINGS: dict[str, dict[str, Any]] = {
    "base": {
        "tokens": 40_960,
        "batch_tokens": 1024,
        "sequence_length": 256,
        "rewind_steps": 10,
        "checkpoint_every_steps": 5,
    },
    "sft": {"epochs": 0.2},
    "preference": {"epochs": 0.1},
    # A form that a model of seconds meets by chance, so that some answers are rewarded and some are not.
    "rl": {
        "answer_form": r"[\s\S]*[aeiou][\s\S]{0,6}",
        "steps": 2,
        "prompts": 4,
        "generations": 8,
        "max_new_tokens": 16,
    },
}


class Organisation:
    """Folders of a nano organisation, and `forge` run over them."""

    def __init__(self, root: Path) -> None:
        self.root, self.home = root, root / "home"
        self.environment = {
            **os.environ,
            "FORGE_HOME": str(self.home),
            "FORGE_RECIPES": str(root / "recipes"),
            "FORGE_SOURCES": str(root / "sources"),
            "FORGE_THREADS": "1",
        }
        self.environment.pop("DAGSTER_HOME", None)

    def start(self, *arguments: str, **options: Any) -> "subprocess.Popen[str]":
        """Start `forge`."""
        return subprocess.Popen(
            [sys.executable, "-m", "forge_dagster.cli.main", *arguments],
            env=self.environment,
            text=True,
            start_new_session=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        )

    def forge(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run `forge` to its end."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=600)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def digests(self) -> dict[str, str]:
        """Current digest of every artifact."""
        pointers = (self.home / "artifacts").rglob("CURRENT")
        return {p.parent.relative_to(self.home / "artifacts").as_posix(): p.read_text().strip() for p in pointers}

    def wait_for(self, process: "subprocess.Popen[str]", key: str, state: str = "running") -> bool:
        """Wait until some run reports `key` in `state`; False if the process ended before."""
        while process.poll() is None:
            for path in (self.home / "runs").glob(f"*/progress/{key}.json"):
                if f'"{state}"' in path.read_text() and path.stat().st_mtime > self.started:
                    return True
            time.sleep(0.02)
        return False

    @property
    def started(self) -> float:
        """When the newest run began."""
        return max((path.stat().st_ctime for path in (self.home / "runs").glob("*/inputs.json")), default=0.0)


def nano_recipe(name: str) -> dict[str, Any]:
    """recipes/tiny-dense.yaml, made small enough for seconds."""
    recipe = yaml.safe_load((PROJECT / "recipes" / "tiny-dense.yaml").read_text())
    recipe |= {"name": name, "gates": [{"metric": "validation.bits_per_byte", "maximum": 20.0}]}
    recipe["tokenizer"]["vocab_size"] = 512
    recipe["model"] |= NANO_MODEL
    for entry in recipe["stages"]:
        entry["settings"] |= NANO_SETTINGS[entry["stage"]]
    return recipe


def workers(above: psutil.Process) -> list[psutil.Process]:
    """Processes of a training that live below `above`, by rank."""
    below = [child for child in above.children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE]
    found = [child for child in below if "forge_dagster.training.worker" in child.cmdline()]
    return sorted((child for child in found if "RANK" in child.environ()), key=lambda child: child.environ()["RANK"])


def kill(process: "subprocess.Popen[str]") -> None:
    """`kill -9` of the run's own process alone: what it leaves must take care of itself."""
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=600)
