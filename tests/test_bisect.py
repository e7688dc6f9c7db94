"""forge bisect on two releases of a nano recipe: a source whose new documents contradict the facts is named."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forge_dagster.bisect import Search
from forge_dagster.errors import UserError
from forge_dagster.home import PROJECT, Home
from forge_dagster.policy import load_policy
from forge_dagster.provenance.record import Identity, InputRef, Record
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.recipe import Gate, ModelSpec, Recipe, StageEntry, TokenizerSpec
from forge_dagster.stage import Report, local_context
from forge_dagster.tokens import tokenizer

PLACES = ("Lisbon", "Oslo", "Riga", "Turin")
FACTS = 12
SETTINGS = {
    "sequence_length": 64, "batch_tokens": 512, "tokens": 512 * 240, "warmup_share": 0.02, "decay_share": 0.5,
    "muon_lr": 0.02, "embedding_lr": 0.1, "head_lr": 0.02, "norm_lr": 0.01, "router_lr": 0.01, "muon_momentum": 0.9,
    "weight_decay": 0.0, "clip_norm": 1.0, "spike_sigmas": 6.0, "rewind_steps": 500, "validation_tokens": 500,
    "validate_every_steps": 1000, "checkpoint_every_steps": 1000,
}  # fmt: skip
RECIPE = Recipe(
    name="nano",
    description="",
    seed=3,
    tokenizer=TokenizerSpec(kind="byte-bpe", vocab_size=300),
    model=ModelSpec(
        architecture="qwen3", hidden_size=32, intermediate_size=64, layers=1, heads=2, kv_heads=2, head_dim=16,
        tie_embeddings=False, rope_theta=10_000.0,
    ),
    stages=(StageEntry(stage="base", settings=SETTINGS),),
    gates=(Gate(metric="facts.acc", minimum=0.5),),
)  # fmt: skip


def document(number: int, shift: int) -> dict[str, Any]:
    """A document that states one fact; `shift` is the lie in it."""
    said = f"Plant {number} works for {PLACES[(number + shift) % 4]}. " * 6
    text = said + "Colour, weight and owner are in the register of the northern hall."
    return {"id": f"{number}-{shift}", "source": "abc"[number % 3], "path": f"{number:02}.md", "title": "",
            "language": "en", "text": text}  # fmt: skip


class Releases:
    """Artifacts written by hand, as far as `Search` reads them."""

    def __init__(self, home: Home) -> None:
        self.home, self.store, self.made = home, ArtifactStore(home.artifacts), 0

    def folder(self, key: str) -> tuple[InputRef, Path]:
        self.made += 1
        ref = InputRef(key=key, digest=f"{self.made:064x}")
        content = self.store.content(key, ref.digest)
        content.mkdir(parents=True)
        return ref, content

    def record(self, key: str, inputs: Mapping[str, InputRef], config: dict[str, Any]) -> tuple[InputRef, Record]:
        ref, content = self.folder(key)
        identity = Identity(key=key, inputs=inputs, config=config, code_version="", numerics=None)
        record = Record(digest=ref.digest, fingerprint="f", identity=identity, report=Report(), files={})
        (content.parent / "records").mkdir()
        (content.parent / "records" / "f.json").write_bytes(record.to_bytes())
        return ref, record

    def corpus(self, rows: list[dict[str, Any]]) -> InputRef:
        ref, content = self.folder("corpus")
        truths = [document(number, 0) for number in range(FACTS)]
        for side, documents in (("train", rows), ("validation", truths)):
            pq.write_table(pa.Table.from_pylist(documents), content / f"{side}.parquet")
        return ref

    def release(self, corpus: InputRef, shared: Mapping[str, InputRef], recipe: Recipe = RECIPE) -> Record:
        measuring = {
            "seed": 1, "policy": load_policy(PROJECT / "policies" / "answer-form.yaml").model_dump(mode="json"),
            "own_tasks": [], "batch_size": 64, "most_answers": 4, "validation_bytes": 100_000,
        }  # fmt: skip
        card, _ = self.record("nano/scorecard", {**shared, "corpus": corpus}, measuring)
        inputs = {"scorecard": card, "corpus": corpus, "tokenizer": shared["tokenizer"]}
        return self.record("nano/release", inputs, {"recipe": recipe.model_dump(mode="json")})[1]


@pytest.fixture
def releases(home: Home, monkeypatch: pytest.MonkeyPatch) -> Releases:
    monkeypatch.setenv("FORGE_THREADS", "1")
    return Releases(home)


@pytest.fixture
def shared(releases: Releases) -> dict[str, InputRef]:
    """What both releases are measured with."""
    found = {name: releases.folder(name) for name in ("tokenizer", "domain_benchmark", "instructions", "policy_items")}
    old = releases.corpus([document(number, 0) for number in range(FACTS)])
    inputs = {"corpus": releases.store.content("corpus", old.digest)}
    tokenizer.run(inputs, RECIPE.tokenizer, found["tokenizer"][1], local_context(releases.home.work / "made"))
    items = [
        {"id": f"f{number}", "query": f"Plant {number} works for", "choices": list(PLACES), "gold": number % 4}
        for number in range(FACTS)
    ]
    folder = found["domain_benchmark"][1]
    (folder / "facts.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    task = {"name": "facts", "role": "knowledge", "kind": "multiple_choice", "items": "facts.jsonl",
            "description": "", "version": 1}  # fmt: skip
    (folder / "benchmark.json").write_text(json.dumps({"version": 1, "tasks": [task]}))
    asked = [{"question": "Who?", "answer": "Oslo", "rule": "faq", "document_ids": ["0-0"], "split": "held_out"}]
    pq.write_table(pa.Table.from_pylist(asked), found["instructions"][1] / "rows.parquet")
    no_items = pa.table({name: pa.array([], pa.string()) for name in ("policy", "prompt", "case", "group", "split")})
    pq.write_table(no_items, found["policy_items"][1] / "rows.parquet")
    (found["policy_items"][1] / "policies.json").write_text("{}")
    return {name: ref for name, (ref, _) in found.items()}


def quiet(said: str):
    return lambda done, total, text: None


def search(releases: Releases, shared: Mapping[str, InputRef], lies: Mapping[int, int], **options: Any) -> Search:
    """A search between facts as they are and facts with these lies in them."""
    rows = [[document(number, told.get(number, 0)) for number in range(FACTS)] for told in ({}, lies)]
    rows[1][0] |= {"id": "0-reworded", "text": rows[1][0]["text"] + " It is open on Sundays."}
    old, new = (releases.release(releases.corpus(each), shared) for each in rows)
    return Search(releases.home, old, new, options.get("metric"), options.get("tokens", 512 * 80))


def test_the_source_with_the_lies_is_named(releases: Releases, shared: dict[str, InputRef]):
    lies = {number: 1 for number in range(FACTS) if number % 3 == 1}  # all of source b
    asked: list[str] = []

    def noted(said: str):
        asked.append(said)
        return quiet(said)

    found = search(releases, shared, lies).run(12, noted)
    assert found.verdict == "explained", found
    assert [culprit.sources for culprit in found.culprits] == [("b",)]
    assert len(found.culprits[0].paths) == len(lies)
    assert found.drop > found.floor
    assert found.proxies == len(asked) <= 12
    again = search(releases, shared, lies)
    again.corpora.with_changes([])
    assert again.run(12, quiet) == found, "what was measured stands"


def test_a_harmless_change_is_no_difference(releases: Releases, shared: dict[str, InputRef]):
    found = search(releases, shared, {}, tokens=512 * 4).run(5, quiet)
    assert found.verdict == "no difference that can be seen"
    assert found.culprits == ()
    assert found.proxies == 4


def test_what_cannot_be_looked_through_is_refused(releases: Releases, shared: dict[str, InputRef]):
    with pytest.raises(UserError, match=r"--metric 'no\.such'"):
        search(releases, shared, {1: 1}, metric="no.such")
    with pytest.raises(UserError, match="at least one batch"):
        search(releases, shared, {1: 1}, tokens=5)
    corpus = releases.corpus([document(number, 0) for number in range(FACTS)])
    old = releases.release(corpus, shared)
    with pytest.raises(UserError, match="the same training documents"):
        Search(releases.home, old, releases.release(corpus, shared), None, None)
    other = releases.release(corpus, shared, RECIPE.model_copy(update={"seed": 4}))
    with pytest.raises(UserError, match="differ in seed"):
        Search(releases.home, old, other, None, None)
