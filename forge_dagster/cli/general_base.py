"""The base that stands for open weights where none are named: trained on documents of others, in a home of its own."""

import os
import subprocess
import sys
from pathlib import Path

from forge_dagster import approaches
from forge_dagster.chain import checkpoint_key
from forge_dagster.cli.console import err
from forge_dagster.errors import UserError
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.recipe import Recipe, WeightsSpec

DOCUMENTS, SEED = 1200, 1001
"""Of the fictional organisations whose documents are the general text, if none is given."""
ORIGIN = "trained by forge compare-approaches on documents of others"


def general_base(recipe: Recipe, folder: Path, text: Path | None, *, quiet: bool) -> WeightsSpec:
    """Train it, or find it trained; `text` is a folder of general documents. Raises UserError if that fails."""
    own = folder / "general"
    if text is None:
        text = _others(own / "documents", quiet=quiet)
    base = approaches.general(recipe)
    approaches.write_recipe(own / "recipes", base)
    key = checkpoint_key(base.name, "base")
    environment = {**os.environ, "FORGE_HOME": str(own / "home"), "FORGE_RECIPES": str(own / "recipes")}
    for name in ("DAGSTER_HOME", "FORGE_SOURCES", "FORGE_COMPARISONS", "FORGE_STORE"):
        environment.pop(name, None)
    needed = f"raw_documents,clean_documents,document_split,domain_benchmark,corpus,tokenizer/{recipe.tokenizer_name},"
    command = ["run", "--sources", str(text), "--select", f"{needed}token_shards/{recipe.tokenizer_name},{key}"]
    if not quiet:
        err.print(f"A base on documents of others: forge {' '.join(command)}", markup=False, soft_wrap=True)
    done = subprocess.run(
        [sys.executable, "-m", "forge_dagster.cli.main", *command, *(["--json"] if quiet else [])],
        env=environment,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    store = ArtifactStore(own / "home" / "artifacts")
    digest = store.current(key)
    if done.returncode or digest is None:
        raise UserError(
            f"the base on documents of others was not made: exit code {done.returncode}",
            rule="a comparison has a base that stands for open weights",
            mend="see the message above; or name open weights with --weights",
        )
    return WeightsSpec(
        name="general-base", location=str(store.content(key, digest)), origin=ORIGIN, licence="Apache-2.0"
    )


def _others(documents: Path, *, quiet: bool) -> Path:
    """Documents of other fictional organisations, written once."""
    from forge_dagster.sample.generate import generate

    if not (documents / "facts.jsonl").is_file():
        if not quiet:
            err.print(f"Writing {DOCUMENTS} documents of other organisations into {documents}", markup=False)
        generate(DOCUMENTS, SEED, documents)
    return documents / "documents"
