"""A whole organisation is audited from one bundle: no network, nothing of this project, every answer in a minute."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from nano import Organisation

pytestmark = pytest.mark.system

ALONE = "import sys; sys.modules.update(dict.fromkeys(('dagster', 'pyarrow', 'pydantic', 'torch'))); import runpy; "


def test_fifteen_questions_are_answered_from_a_bundle_alone(copied: Organisation, tmp_path: Path):
    compared = json.loads(copied.forge("verify", "--complete", "--json").stdout)
    assert compared["problems"] == []
    assert compared["events"] >= compared["statements"] >= 17
    assert copied.forge("keys", "new", "--name", "audit", "--owner", "Ada Reed").returncode == 0
    bundle = tmp_path / "nano.tar"
    made = copied.forge("bundle", "nano", "--out", str(bundle), "--key", "audit", "--json")
    assert made.returncode == 0, made.stderr
    told = json.loads(made.stdout)
    (tmp_path / "taken").mkdir()
    subprocess.run(["tar", "xf", str(bundle), "-C", str(tmp_path / "taken")], check=True)
    document, text = _a_training_document(copied)
    arguments = ["--trust", told["kid"], "--head", told["head"], "--questions", "--document", document, "--trace", text]
    script = tmp_path / "taken" / "verify.py"
    run = f"{ALONE}sys.argv = {[str(script), *arguments]!r}; runpy.run_path(sys.argv[0], run_name='__main__')"
    begun = time.monotonic()
    done = subprocess.run(
        ["unshare", "-rn", sys.executable, "-I", "-c", run],
        cwd="/", env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert time.monotonic() - begun < 60
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("VERIFIED\n")
    answers = done.stdout.split("\n1. ", 1)[1]
    assert [f"\n{number}. " in f"\n1. {answers}" for number in range(1, 16)] == [True] * 15
    own = {row["id"]: row for row in json.loads(copied.forge("sources-of", "nano", "--json").stdout)["documents"]}
    assert f"  base read it {own[document]['base_times']:g} times" in done.stdout
    assert f"{document}\n" in done.stdout.split("runs of 8 words looked for")[1]
    for stage in ("base", "sft", "preference", "rl"):
        assert f"nano/{stage}_checkpoint: " in answers.split("\n11. ")[1].split("\n12. ")[0]
    assert "energy: " in answers
    assert f"{compared['events']} materializations, the ledger {compared['statements']} versions; 0 without" in answers


def _a_training_document(organisation: Organisation) -> tuple[str, str]:
    """Id and fifty words of one."""
    corpus = organisation.home / "artifacts" / "corpus"
    content = corpus / (corpus / "CURRENT").read_text().strip() / "content"
    for row in pq.read_table(content / "train.parquet", columns=["id", "text"]).to_pylist():
        words = row["text"].split()
        if len(words) > 100:
            return row["id"], " ".join(words[20:70])
    raise AssertionError("no document has a hundred words")
