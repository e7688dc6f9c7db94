"""What DVC shows of an artifact follows its CURRENT."""

import json

from forge_dagster.home import Home
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.versions.summaries import summary_of, write


def version(home: Home, key: str, digest: str, name: str, text: str) -> None:
    folder = home.artifacts / key / digest
    (folder / "records").mkdir(parents=True)
    (folder / "records" / f"{digest}.json").write_text("{}")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(text)


def test_names_by_the_last_word_of_the_key():
    wanted = {
        "nano/scorecard": "CURRENT.metrics.json",
        "nano/base_checkpoint": "CURRENT.curve.csv",
        "nano/release": "CURRENT.manifest.json",
        "corpus": None,
        "release": None,
        "tokenizer/bpe-512": None,
    }
    assert {key: summary_of(key) for key in wanted} == wanted


def test_each_current_version_has_its_summary(home: Home):
    store = ArtifactStore(home.artifacts)
    for number, score in enumerate((0.5, 0.75)):
        card = {"checkpoints": {"base": {"facts.acc": {"value": score, "stderr": 0.1}}}}
        version(home, "nano/scorecard", f"{number}" * 64, "content/scorecard.json", json.dumps(card))
    version(home, "nano/base_checkpoint", "2" * 64, "beside/log.csv", "step,loss\n0,3.5\n")
    version(home, "nano/sft_checkpoint", "3" * 64, "content/x", "a checkpoint without a log")
    for key, digit in (("scorecard", "0"), ("base_checkpoint", "2"), ("sft_checkpoint", "3")):
        store.point(f"nano/{key}", digit * 64)
    write(store)
    metrics = home.artifacts / "nano" / "scorecard" / "CURRENT.metrics.json"
    assert json.loads(metrics.read_text()) == {"base": {"facts.acc": 0.5}}
    assert (home.artifacts / "nano/base_checkpoint/CURRENT.curve.csv").read_text() == "step,loss\n0,3.5\n"
    assert not (home.artifacts / "nano/sft_checkpoint/CURRENT.curve.csv").exists()
    store.point("nano/scorecard", "1" * 64)
    write(store)
    assert json.loads(metrics.read_text()) == {"base": {"facts.acc": 0.75}}
