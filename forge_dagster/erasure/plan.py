"""What an erasure would touch and what each option costs, before anything is done."""

import json
from collections.abc import Iterable, Mapping
from typing import Literal

import pyarrow.compute as pc
import pyarrow.parquet as pq

from forge_dagster.declared import Declared
from forge_dagster.errors import UserError
from forge_dagster.exclusion import Erased, Hole, Layout, rest_of
from forge_dagster.home import Home
from forge_dagster.lineage.graph import Graph, Node
from forge_dagster.lineage.row_index import RowIndex
from forge_dagster.lineage.steps import INDEX, SHARDS
from forge_dagster.lineage.where_used import Use, WhereUsed
from forge_dagster.provenance.canonical import fingerprint
from forge_dagster.provenance.files import sha256_file
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.reproduction import training_of
from forge_dagster.stage import START, FrozenModel
from forge_dagster.stages.base import identity_of
from forge_dagster.training.retained import Retained, retained
from forge_dagster.versions.needed import remotes_of

Option = Literal["quarantine", "resume", "retrain"]
HOLDS_TEXT = (
    "raw", "clean", "corpus", "shards", "generated", "instructions", "policy_items", "preferences", "benchmark",
)  # fmt: skip
HOLDS_WEIGHTS = ("checkpoint", "adapter", "release", "export")


class Cost(FrozenModel):
    """What one option costs for one recipe, by the records of what stands; hours are of this machine's clock."""

    begins_at: int
    """Steps of the pre-training that are done already."""
    steps: int
    """Steps of it that are done again."""
    floating_point_operations: float
    hours: float
    """Of pre-training, later stages and scorecard, as long as they took when they were recorded."""


class Model(FrozenModel):
    """One recipe whose model saw a document."""

    recipe: str
    last: str
    """KEY@DIGEST of its last checkpoint, the current one."""
    first_step: int | None
    """The first step that read one of them; none if later stages alone learnt from it."""
    options: Mapping[Option, Cost]


class Plan(FrozenModel):
    """All that an erasure touches; `digest` names exactly this plan."""

    documents: tuple[Erased, ...]
    names: Mapping[str, tuple[str, ...]]
    rows: Mapping[str, int]
    """How many uses there are, by kind."""
    models: tuple[Model, ...]
    releases: Mapping[str, str]
    """KEY@DIGEST of each release that learnt from a document: serving, current or old."""
    withdrawn: tuple[str, ...]
    """KEY@DIGEST of models that are current or serve, and will not."""
    holders: tuple[str, ...]
    """KEY@DIGEST of every version that holds text of a document, or weights that learnt from it."""
    keeps_trace: Mapping[str, tuple[str, ...]]
    """What keeps a trace whatever is chosen, and where."""
    layouts: tuple[Layout, ...]

    @property
    def digest(self) -> str:
        """SHA-256 over the plan."""
        return fingerprint(self.model_dump(mode="json"))


def make_plan(home: Home, declared: Declared, graph: Graph, index: RowIndex, asked: Iterable[str]) -> Plan:
    """The plan for documents by their ids, and all that are as good as these. Raises UserError if none stands."""
    wanted = sorted(set(asked))
    ids = [*wanted, *sorted(_alike(graph, index, wanted) - set(wanted))]
    documents = tuple(
        Erased(document=each, texts=_texts(graph, index, each), because="asked" if each in wanted else "duplicate")
        for each in ids
    )
    asking = WhereUsed(graph, index)
    uses = [use for each in ids for use in asking.uses(each) if not use.told.get("erased")]
    if not uses:
        raise UserError(f"{', '.join(ids)}: nothing was made of it", rule="what is erased was read once")
    kinds = sorted({use.kind for use in uses})
    learnt = {use.node for use in uses if use.kind in HOLDS_WEIGHTS and not _only_judged(use)}
    holders = {use.node for use in uses if use.kind in HOLDS_TEXT and _holds(use)} | learnt
    releases = {str_of(node): _standing(graph, node) for node in sorted(learnt) if node.is_release}
    models = tuple(model for name in sorted(declared.recipes) if (model := _model(home, graph, uses, learnt, name)))
    return Plan(
        documents=documents,
        names={each: _names(graph, index, each) for each in ids},
        rows={kind: sum(use.kind == kind for use in uses) for kind in kinds},
        models=models,
        releases=releases,
        withdrawn=tuple(str_of(node) for node in sorted(learnt) if _standing(graph, node) != "old"),
        holders=tuple(str_of(node) for node in sorted(holders)),
        keeps_trace=_traces(home, graph, uses, holders, learnt),
        layouts=tuple(_layouts(graph, uses, ids)),
    )


def str_of(node: Node) -> str:
    """KEY@DIGEST, whole."""
    return f"{node.key}@{node.digest}"


def _alike(graph: Graph, index: RowIndex, wanted: Iterable[str]) -> set[str]:
    """Everything that was ever in one cluster with them: exact and near duplicates, older and newer versions."""
    found, waiting = set[str](), set(wanted)
    while waiting:
        each = waiting.pop()
        found.add(each)
        for node in graph.of("document_split"):
            for row in index.rows(node, "split.parquet", "id", each, ["cluster"]):
                same = index.rows(node, "split.parquet", "cluster", row["cluster"], ["id"])
                waiting |= {other["id"] for other in same} - found
    return found


def _texts(graph: Graph, index: RowIndex, document: str) -> tuple[str, ...]:
    return tuple(sorted({
        row["digest"]
        for node in graph.of("clean_documents")
        for row in index.rows(node, "signatures.parquet", "id", document, ["digest"])
    }))  # fmt: skip


def _names(graph: Graph, index: RowIndex, document: str) -> tuple[str, ...]:
    return tuple(sorted({
        f"{node.key.partition('/')[2]}/{row['path']}"
        for node in graph.of("raw_documents")
        for row in index.rows(node, "dispositions.parquet", "id", document, ["path"])
    }))  # fmt: skip


def _holds(use: Use) -> bool:
    """Whether the text is there, and not only a word on what became of it."""
    if use.kind == "corpus":
        return use.told["side"] is not None
    return use.told.get("disposition", "kept") == "kept"


def _only_judged(use: Use) -> bool:
    return use.kind in ("release", "export") and not use.told["learnt_in"]


def _standing(graph: Graph, node: Node) -> str:
    """Whether a version serves, is current, or neither."""
    if node.is_release and graph.store.serving(node.key) == node.digest:
        return "serving"
    return "current" if graph.store.current(node.key) == node.digest else "old"


def _model(home: Home, graph: Graph, uses: list[Use], learnt: set[Node], recipe: str) -> Model | None:
    """What the current model of a recipe had of them; none if it has nothing of them."""
    mine = [node for node in graph.checkpoints if node.family == recipe and _standing(graph, node) != "old"]
    if not set(mine) & learnt:
        return None
    first = next((node for node in mine if SHARDS in dict(graph.inputs(node))), None)
    steps = [use.told["pre_training"]["steps"] for use in uses if use.node == first and "pre_training" in use.told]
    seen = min((each[0] for each in steps), default=None)
    score = Node(f"{recipe}/scorecard", graph.store.current(f"{recipe}/scorecard") or "")
    later = sum(_hours(graph, node) for node in [*mine, score] if node != first and node in graph.records)
    total, operations, hours, begins = 0, 0.0, 0.0, 0
    if first is not None:
        report = graph.records[first][0].report
        total, operations = report.counts["steps"], report.metrics["floating_point_operations"]
        hours = _hours(graph, first)
        if START not in dict(graph.inputs(first)):  # a successor goes on from no model: it may have learnt from it
            begins = max((step for step in _kept(home, first).whole() if seen is None or step <= seen), default=0)

    def cost(at: int) -> Cost:
        share = (total - at) / max(total, 1)
        return Cost(
            begins_at=at,
            steps=total - at,
            floating_point_operations=operations * share,
            hours=round(hours * share + later, 4),
        )

    nothing = Cost(begins_at=total, steps=0, floating_point_operations=0.0, hours=0.0)
    options: dict[Option, Cost] = {"quarantine": nothing, "resume": cost(begins), "retrain": cost(0)}
    return Model(recipe=recipe, last=str_of(mine[-1]), first_step=seen, options=options)


def _kept(home: Home, checkpoint: Node) -> Retained:
    """The checkpoints that were retained of a pre-training, none where they are gone."""
    training = training_of(home, *checkpoint)
    identity = identity_of(training.job, training.inputs)
    found = [each for each in retained(home.cache / checkpoint.key) if dict(each.identity) == identity]
    return found[0] if found else Retained(home.cache / checkpoint.key, identity, {}, {})


def _hours(graph: Graph, node: Node) -> float:
    run = json.loads((graph.store.here(*node) / "beside" / "run.json").read_bytes())
    return float(run["seconds"]) / 3600


def _traces(
    home: Home, graph: Graph, uses: list[Use], holders: set[Node], learnt: set[Node]
) -> dict[str, tuple[str, ...]]:
    ledger = Ledger(home.ledger)
    pushed = remotes_of(ledger)
    remotes = {f"{name}: {str_of(node)}" for node in holders for name in pushed.get((node.key, node.digest), ())}
    bundles = {f"{said['key']}@{said['digest']}" for said in ledger.statements("bundle")
               if Node(said["key"], said["digest"]) in learnt}  # fmt: skip
    kept = {str(each.folder.relative_to(home.root)) for node in learnt if node.is_checkpoint
            for each in retained(home.cache / node.key)}  # fmt: skip
    carried = {str_of(node) for node in holders if graph.store.place.record(node.key, node.digest)}
    caches = {node.key for node in holders if node.family in ("raw_documents", "clean_documents", "generated")}
    return {
        "tokenizers, whose merges were counted over it": tuple(
            sorted({str_of(use.node) for use in uses if use.kind == "tokenizer"})
        ),
        "checkpoints retained of trainings": tuple(sorted(kept)),
        "versions in the store, until `forge gc` takes them": tuple(str_of(node) for node in sorted(holders)),
        "remotes of versions": tuple(sorted(remotes)),
        **({"the shared store, which `forge gc` leaves alone": tuple(sorted(carried))} if carried else {}),
        "bundles that were written": tuple(sorted(bundles)),
        "caches, until these artifacts are made again": tuple(sorted(f"cache/{key}" for key in caches)),
    }


def _layouts(graph: Graph, uses: list[Use], ids: list[str]) -> Iterable[Layout]:
    """Of the current token shards that have them among the training documents: all empty places, old and new."""
    for node in sorted({use.node for use in uses if use.kind == "shards" and use.told["split"] == "train"}):
        if graph.store.current(node.key) != node.digest:
            continue
        index = pq.read_table(graph.content(node) / INDEX, columns=["document", "split", "source", "length", "bytes"])
        rows = index.filter(pc.equal(index["split"], "train")).to_pylist()
        gone = {row["document"] for row in rows if row["document"] in ids or not row["bytes"]}
        holes = tuple(
            Hole(document=row["document"], source=row["source"], number=number, length=row["length"])
            for number, row in enumerate(rows)
            if row["document"] in gone
        )
        yield Layout(
            shards=node.key,
            tokenizer=sha256_file(graph.content(graph.input(node, "tokenizer")) / "tokenizer.json"),
            rest=rest_of(row["document"] for row in rows if row["document"] not in gone),
            holes=holes,
        )
