"""A base checkpoint that goes on from the one that serves: its chain, what it reads, and whose documents it has."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from lineage_store import commit

from forge_dagster.bundle.documents import documents
from forge_dagster.bundle.lineage import Link
from forge_dagster.bundle.use import add_use
from forge_dagster.corpus.rights import learnt_from
from forge_dagster.home import Home
from forge_dagster.lineage.graph import Graph, Node
from forge_dagster.lineage.row_index import RowIndex
from forge_dagster.lineage.sources_of import corpora_of, sources_of
from forge_dagster.lineage.where_used import WhereUsed
from forge_dagster.provenance.build import Built, Order, build
from forge_dagster.provenance.incumbent import FORMER, GoingOn, former_corpora
from forge_dagster.provenance.record import InputRef
from forge_dagster.provenance.run import Run
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.provenance.verify import verify
from forge_dagster.stage import START, START_SHARDS
from forge_dagster.stages import base
from forge_dagster.tokens.mixture import REPLAYED
from forge_dagster.tokens.shards import ShardsConfig
from forge_dagster.training.job import TrainingJob
from forge_dagster.training.order import documents_of_step
from forge_dagster.training.settings import Replay

KEY, RELEASE = "nano/base_checkpoint", "nano/release"
GRAPH = {"tokenizer": "tokenizer/t", "token_shards": "token_shards/t"}
MODULE = "forge_dagster.stages.base"


class Again:
    """A copy of the chain in which its first release serves, and its documents are those of the second."""

    def __init__(self, chain: Any, root: Path) -> None:
        shutil.copytree(chain.home.root, root)
        self.home, self.store, self.runs = Home(root), ArtifactStore(Home(root).artifacts), 0
        graph = Graph(self.store)
        self.first = graph.learnt(chain.releases[0])[0]
        self.job = TrainingJob[base.Settings].model_validate(graph.records[self.first][0].identity.config)
        more = {"tokens": 1024 * 20, "going_on": Replay(share=0.5, epochs=8)}
        self.settings = self.job.settings.model_copy(update=more)
        further = self.job.model_copy(update={"settings": self.settings})
        self.serving = GoingOn(release=RELEASE, key=KEY, graph=GRAPH, config=further)
        self.serves = chain.releases[0].digest
        self.store.point(RELEASE, self.serves)
        self.store.point("tokenizer/t", graph.input(self.first, "tokenizer").digest)
        self.build(Order(key="token_shards/t", module="forge_dagster.tokens.shards", config=ShardsConfig(), external={},
                         inputs={"corpus": "corpus", "tokenizer": "tokenizer/t"}, numerics={}))  # fmt: skip

    def build(self, order: Order) -> Built:
        self.runs += 1
        run = Run(self.home, f"again{self.runs}")
        run.freeze({})
        return build(run, order, actor="user:test", say=lambda _: None)

    def go_on(self) -> Built:
        return self.build(Order(key=KEY, module=MODULE, inputs=GRAPH, external={}, config=self.job, numerics={},
                                serving=self.serving))  # fmt: skip

    def opened(self) -> tuple[Graph, RowIndex]:
        graph = Graph(self.store)
        return graph, RowIndex(graph, self.home.cache / "lineage")


@pytest.fixture(scope="module")
def again(built: Any, tmp_path_factory: pytest.TempPathFactory) -> Again:
    return Again(built, tmp_path_factory.mktemp("again") / "home")


@pytest.fixture(scope="module")
def further(again: Again) -> Built:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORGE_THREADS", "1")
        return again.go_on()


def test_it_starts_from_the_checkpoint_that_serves_and_a_second_run_changes_nothing(again: Again, further: Built):
    inputs = further.record.identity.inputs
    graph, _ = again.opened()
    assert inputs[START] == InputRef(key=KEY, digest=again.first.digest)
    assert inputs[START_SHARDS].digest == graph.input(again.first, "token_shards").digest
    assert further.record.identity.config["settings"]["tokens"] == again.settings.tokens
    assert again.go_on().reused
    # It serves now, on the very shards it was made of: still the same training.
    release = commit(again.home, RELEASE, {"checkpoint": InputRef(key=KEY, digest=further.record.digest)},
                     lambda out: (out / "a").write_text("a"), {"recipe": {}})  # fmt: skip
    assert again.go_on().reused
    again.store.point(RELEASE, again.serves)
    assert release.digest != again.store.current(RELEASE)


def test_it_says_what_the_model_was_worth_before_and_what_it_forgot(again: Again, further: Built):
    metrics = further.record.report.metrics
    told = json.loads((further.folder / "content" / "forgetting.json").read_bytes())
    known = told["held_out_documents_of_the_start"]
    first = again.store.record(*again.first).report.metrics
    assert known["before"] == pytest.approx(first["validation_bits_per_byte"], abs=1e-3)
    assert metrics["forgotten_bits_per_byte"] == pytest.approx(known["after"] - known["before"])
    assert told["sources"]["plant"]["after"] == pytest.approx(metrics["validation_bits_per_byte"], abs=1e-3)
    assert abs(metrics["forgotten_bits_per_byte"]) < 0.2, "it went on, it did not begin again"


def test_new_and_replayed_documents_have_their_shares_however_one_asks(chain: Any, again: Again, further: Built):
    graph, index = again.opened()
    node = Node(KEY, further.record.digest)
    shards, former = (graph.content(graph.input(node, name)) for name in ("token_shards", START_SHARDS))
    known = set(_trained(former))
    by_step: dict[str, list[int]] = {}
    tokens = {True: 0, False: 0}
    for step in range(again.settings.steps):
        for row in documents_of_step(shards, again.settings, again.job.seed, step, former):
            by_step.setdefault(row["document"], []).append(step)
            tokens[row["document"] in known] += row["tokens"]
    new = [each for each in by_step if each not in known]
    assert new
    assert tokens[True] / sum(tokens.values()) == pytest.approx(_replayed(further)["realised"], abs=1e-6)
    used = WhereUsed(graph, index)
    for document in (new[0], next(each for each in by_step if each in known)):
        told = next(use.told for use in used.uses(document) if use.node == node)
        assert list(told["pre_training"]["steps"]) == list(dict.fromkeys(by_step[document]))
        assert ("goes_on_from" in told) == (document in known)


def test_a_document_that_is_gone_is_still_in_the_weights_and_in_the_terms(chain: Any, again: Again, further: Built):
    graph, index = again.opened()
    removed = next(
        row["id"]
        for row in _rows(graph.content(graph.input(chain.releases[0], "corpus")))
        if row["path"].endswith(chain.removed)
    )
    used = WhereUsed(graph, index).uses(removed)
    told = next(use.told for use in used if use.node == Node(KEY, further.record.digest))
    assert told == {"goes_on_from": [str(again.first)]}
    corpus = InputRef(key="corpus", digest=str(again.store.current("corpus")))
    made = InputRef(key=KEY, digest=further.record.digest)
    former = former_corpora(again.store, made)
    assert list(former) == [f"{FORMER}/0"]
    commit(again.home, "nano2/release", {"checkpoint": made, "corpus": corpus, **former},
           lambda out: (out / "b").write_text("b"), {"recipe": {}})  # fmt: skip
    graph, index = again.opened()
    release = Node("nano2/release", str(again.store.current("nano2/release")))
    table = sources_of(graph, index, release)
    row = next(each for each in table.to_pylist() if each["id"] == removed)
    assert row["base_times"] == 0
    assert row[f"base@{again.first.digest[:12]}_times"] > 0
    chain_of = [Link(record=graph.records[node][0], data=b"", run=None, findings=[])
                for node in (release, *graph.walk([release]))]  # fmt: skip
    rows = documents(again.store, chain_of)
    former = add_use(graph, index, release, rows)["former"]
    bundled = {row["id"]: row for row in [*(row for row in rows if row.get("split") == "train"), *former]}
    assert bundled[removed]["path"].endswith(chain.removed)
    now = {row["id"] for row in _rows(again.store.content("corpus", corpus.digest))}
    then = {row["id"] for row in _rows(graph.content(graph.input(chain.releases[0], "corpus")))}
    assert set(bundled) == now | then
    label = learnt_from(corpora_of(graph, release))
    assert removed in label["id"].to_pylist()
    assert len(set(label["id"].to_pylist())) == len(label)


def test_verification_goes_through_both_checkpoints_to_the_raw_documents(again: Again, further: Built):
    target = [(KEY, further.record.digest)]
    assert not verify(again.home.artifacts, again.home.ledger, target).problems
    weights = again.store.content(*again.first) / "model.safetensors"
    data = weights.read_bytes()
    weights.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    try:
        problems = verify(again.home.artifacts, again.home.ledger, target).problems
        assert any("model.safetensors" in each for each in problems)
    finally:
        weights.write_bytes(data)


def test_with_another_shape_or_tokenizer_it_begins_from_scratch(again: Again, further: Built):
    digests = {key: str(again.store.current(key)) for key in GRAPH.values()}
    current = again.store.current(RELEASE)
    assert START in again.serving.inputs(again.store, current, digests)
    assert again.serving.inputs(again.store, current, digests | {"tokenizer/t": "0" * 64}) == {}
    wider = again.job.model_copy(update={"model": again.job.shape.model_copy(update={"layers": 2})})
    assert replace(again.serving, config=wider).inputs(again.store, current, digests) == {}
    assert again.serving.inputs(again.store, None, digests) == {}


def _replayed(built: Built) -> dict[str, float]:
    return json.loads((built.folder / "content" / "mixture.json").read_bytes())[REPLAYED]


def _rows(corpus: Path) -> list[dict[str, str]]:
    return pq.read_table(corpus / "train.parquet", columns=["id", "path"]).to_pylist()


def _trained(shards: Path) -> list[str]:
    rows = pq.read_table(shards / "documents.parquet", columns=["document", "split"]).to_pylist()
    return [row["document"] for row in rows if row["split"] == "train"]
