"""A small real chain, twice: forty documents to a pre-trained checkpoint, then again after some of them changed."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lineage_store import commit
from release_case import Candidate

from assets.documents import document_hops
from forge_dagster.declared import Declared
from forge_dagster.home import Home
from forge_dagster.lineage.graph import Graph, Node
from forge_dagster.lineage.row_index import RowIndex
from forge_dagster.pairs import instructions
from forge_dagster.provenance.build import Order, build
from forge_dagster.provenance.record import InputRef
from forge_dagster.provenance.run import Run
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.recipe import ModelSpec, TokenizerSpec
from forge_dagster.sample.generate import generate
from forge_dagster.source import PlacedSource, Source
from forge_dagster.stages import base
from forge_dagster.tokens.shards import ShardsConfig
from forge_dagster.training.job import TrainingJob

HOPS = ("raw_documents", "clean_documents", "document_split", "domain_benchmark", "corpus")
SHAPE = ModelSpec(
    architecture="qwen3", hidden_size=16, intermediate_size=16, layers=1, heads=1, kv_heads=1, head_dim=16,
    tie_embeddings=False, rope_theta=10_000.0,
)  # fmt: skip
SETTINGS = base.Settings.model_validate(
    {
        "sequence_length": 256, "batch_tokens": 1024, "tokens": 1024 * 60, "warmup_share": 0.1, "decay_share": 0.5,
        "muon_lr": 0.02, "embedding_lr": 0.1, "head_lr": 0.02, "norm_lr": 0.01, "router_lr": 0.01,
        "muon_momentum": 0.9, "weight_decay": 0.0, "clip_norm": 1.0, "spike_sigmas": 6.0, "rewind_steps": 50,
        "validation_tokens": 1000,
    }
)  # fmt: skip
EXPORT = "export/nano/gguf/f16"
SECRET = "jane.roe@veldanor.example"
JANE = f"Jane Roe keeps the register of all pumps in hall four. Write to {SECRET} before the end of any week.\n"
PAGE = "<html><body><p>The firm Miller &amp; S&ouml;hne mends every valve of the plant each May.</p></body></html>"


@dataclass
class Chain:
    """A home with two releases, and what is asked of it."""

    home: Home
    store: ArtifactStore
    releases: list[Node]
    changed: str
    """Path of a document that changed between them."""
    removed: str

    def opened(self) -> tuple[Graph, RowIndex]:
        graph = Graph(self.store)
        return graph, RowIndex(graph, self.home.cache / "lineage")

    def id_of(self, path: str, release: int = 1) -> str:
        graph, _ = self.opened()
        corpus = graph.content(graph.input(self.releases[release], "corpus"))
        rows = pq.read_table(corpus / "train.parquet", columns=["id", "path"]).to_pylist()
        return str(next(row["id"] for row in rows if row["path"].endswith(path)))


def _ref(store: ArtifactStore, key: str) -> InputRef:
    digest = store.current(key)
    assert digest is not None
    return InputRef(key=key, digest=digest)


def _build_all(home: Home, documents: Path, number: int) -> None:
    source = Source(
        name="plant", kind="folder", location=str(documents), owner="the plant", licence="internal",
        sensitivity="internal" if number else "public",
    )  # fmt: skip
    placed = PlacedSource(source=source, location=str(documents), facts=documents.parent / "facts.jsonl")
    declared = Declared(sources={"plant": placed}, recipes={}, policies={}, pairs={})
    run = Run(home, f"run{number}")
    run.freeze({"declared": declared.model_dump(mode="json")})
    hops = {hop.asset: hop for hop in document_hops(declared)}
    orders = [hops[name].order(declared) for name in HOPS]
    more = {
        "tokenizer/t": (
            "forge_dagster.tokens.tokenizer", {"corpus": "corpus"}, TokenizerSpec(kind="byte-bpe", vocab_size=400),
        ),
        "token_shards/t": (
            "forge_dagster.tokens.shards", {"corpus": "corpus", "tokenizer": "tokenizer/t"}, ShardsConfig(),
        ),
        "nano/base_checkpoint": (
            "forge_dagster.stages.base", {"tokenizer": "tokenizer/t", "token_shards": "token_shards/t"},
            TrainingJob[base.Settings](seed=7 + number, model=SHAPE, settings=SETTINGS),
        ),
    }  # fmt: skip
    orders += [
        Order(key=key, module=module, inputs=inputs, external={}, config=config, numerics={})
        for key, (module, inputs, config) in more.items()
    ]
    for order in orders:
        build(run, order, actor="user:test", say=lambda _: None)


def _release(home: Home, root: Path, number: int, told: str) -> Node:
    """Post-training and release, of which lineage reads the records and the rows alone."""
    store = ArtifactStore(home.artifacts)
    row = {"answer": "a", "rule": "faq", "generator": "g", "prompt_digest": "", "history": []}
    rows = [
        {"question": f"Who {n}?", "document_ids": [told], "split": ("train", "train", "held_out")[n], **row}
        for n in range(3)
    ]
    rows.append({"question": "Given?", "document_ids": ["f" * 64], "split": "train", **row})
    table = pa.Table.from_pylist(rows, instructions.ROWS)
    corpus, before = _ref(store, "corpus"), _ref(store, "nano/base_checkpoint")
    pairs = commit(
        home, "instructions", {"corpus": corpus}, lambda out: pq.write_table(table, out / "rows.parquet"), {}
    )
    sft = commit(
        home, "nano/sft_checkpoint", {"previous": before, "instructions": pairs},
        lambda out: (out / "training.json").write_text(str(number)), {"settings": {"epochs": 2.0}},
    )  # fmt: skip
    candidate = Candidate(root / f"candidate{number}")
    recipe = candidate.recipe.model_dump(mode="json") | {"seed": number}
    made = candidate.release()
    benchmark = _ref(store, "domain_benchmark")

    def fill(out: Path) -> None:
        shutil.copytree(made, out, dirs_exist_ok=True)
        (out / "number.txt").write_text(str(number))

    ref = commit(
        home, "nano/release", {"checkpoint": sft, "corpus": corpus, "domain_benchmark": benchmark},
        fill, {"recipe": recipe},
    )  # fmt: skip
    commit(
        home, EXPORT, {"release": ref, "corpus": corpus, "domain_benchmark": benchmark},
        lambda out: (out / "export.json").write_text(str(number)), {},
    )  # fmt: skip
    return Node(str(ref.key), ref.digest)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """The chain, made once."""
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("lineage")
        home = Home(root / "home")
        patch.setenv("FORGE_HOME", str(home.root))
        patch.setenv("FORGE_THREADS", "1")
        generate(40, 1, root / "sample")
        documents = root / "sample" / "documents"
        (documents / "people").mkdir()
        (documents / "people" / "jane.txt").write_text(JANE)
        (documents / "people" / "firm.html").write_text(PAGE)
        for folder in ("north", "south"):
            (documents / folder).mkdir()
            (documents / folder / "rules.txt").write_text(f"In the {folder} hall every door is shut at seven. " * 3)
        texts = sorted(path.relative_to(documents).as_posix() for path in documents.rglob("*.md"))
        chain = Chain(home, ArtifactStore(home.artifacts), [], texts[0], texts[1])
        for number in range(2):
            if number:
                with (documents / chain.changed).open("a") as file:
                    file.write("\nThe archive added this note about the blue lamp in spring.\n")
                (documents / chain.removed).unlink()
            _build_all(home, documents, number)
            store = chain.store
            corpus = store.content("corpus", str(store.current("corpus")))
            told = pq.read_table(corpus / "train.parquet", columns=["id"])["id"][number].as_py()
            chain.releases.append(_release(home, root, number, told))
        yield chain


@pytest.fixture
def chain(built: Chain, monkeypatch: pytest.MonkeyPatch) -> Chain:
    """The chain, in the home that commands look into."""
    monkeypatch.setenv("FORGE_HOME", str(built.home.root))
    return built
