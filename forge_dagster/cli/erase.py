"""`forge erase`: a document out of sources and corpus, and out of what models are trained on, with a certificate."""

import json as json_lines
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from assets.graph import all_hops
from forge_dagster.cli.console import Json, out, print_json
from forge_dagster.cli.keys import ring
from forge_dagster.cli.where_used import opened
from forge_dagster.declared import load_declared
from forge_dagster.erasure.act import certify, sign, withdraw
from forge_dagster.erasure.plan import Option, Plan, make_plan
from forge_dagster.erasure.probe import Given, probe
from forge_dagster.errors import UserError
from forge_dagster.home import home
from forge_dagster.lineage.find import Finder, How
from forge_dagster.lineage.graph import Graph, Node
from forge_dagster.lineage.row_index import RowIndex
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.signing.keys import Signer

OPTIONS: tuple[Option, ...] = ("quarantine", "resume", "retrain")
AS_THEY_ARE = ("raw_documents", "clean_documents", "tokenizer", "readiness")
"""What a resumed training goes on from: these are made again by the next `forge run`."""
MOST_PROBED = 16  # documents
HELD_OUT = 8  # documents that erased text is compared with


def command(
    document: Annotated[str, typer.Argument(help="An id, a path, SOURCE/PATH, or a text such as a name or an e-mail.")],
    reason: Annotated[str, typer.Option(help="Why; goes into the ledger and the certificate.")],
    how: Annotated[str | None, typer.Option("--as", help="id, path or text; tried in this order if not given.")] = None,
    option: Annotated[str, typer.Option(help="quarantine, resume or retrain.")] = "resume",
    key: Annotated[str | None, typer.Option("--key", help="Name of the key that signs (forge keys list).")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do what the plan says.")] = False,
    plan: Annotated[str | None, typer.Option(help="Do it if this still is the plan: its first 12 digits.")] = None,
    json: Json = False,
) -> None:
    """Plan what erasing a document touches and costs; do it with --yes or --plan.

    In every case a signed list keeps the document, and what is as good as it, from coming back. quarantine: models that
    saw it are withdrawn at once. resume: their successors begin at the last retained checkpoint before the first step
    that saw it, and have the bits of a training from the beginning with its place left empty. retrain: documents,
    tokenizer and models are made again without it. Models that saw it are withdrawn; this is no unlearning.

    Examples: `forge erase people/jane.txt --reason "request 17"`; then
    `forge erase people/jane.txt --reason "request 17" --key releases --plan 1f3a5b7c9d0e`.
    """
    kind: How | None = how if how in ("id", "path", "text") else None  # type: ignore[assignment]
    chosen = next((each for each in OPTIONS if each == option), None)
    if chosen is None or (how and kind is None) or len(reason.strip()) < 3:
        raise UserError(
            f"--option {option}, --as {how}, --reason {reason!r}",
            rule=f"--option is one of {', '.join(OPTIONS)}; --as is id, path or text; a reason says why",
            mend="correct the option",
        )
    graph, index = opened()
    found = Finder(graph, index).find(document, kind, lambda done, total: None)
    planned = make_plan(home(), load_declared(), graph, index, [each.document for each in found])
    if plan is not None and (len(plan) < 12 or not planned.digest.startswith(plan)):
        raise UserError(
            f"the plan is {planned.digest[:12]}, not {plan[:12]}",
            rule="what was looked at is what is done",
            mend="look at the plan again: forge erase without --plan",
        )
    if not (yes or plan):
        said = {**planned.model_dump(mode="json"), "plan": planned.digest, "done": False}
        print_json(said) if json else _show(planned)
        return
    if key is None:
        raise UserError("no --key", rule="an exclusion list is signed", mend="--key NAME (forge keys list)")
    done = _do(planned, chosen, reason.strip(), ring().signer(key), graph, index, quiet=json)
    if json:
        print_json({**done, "plan": planned.digest, "done": True})
        return
    for name, made in done["successors"].items():
        begun = f", its pre-training began after step {made['after_step']:,}" if "after_step" in made else ""
        out.print(f"{name}: successor {made['release']}{begun}", markup=False)
    out.print(f"{len(planned.documents)} documents erased; certificate: {done['certificate']}", markup=False)


def _do(
    plan: Plan, option: Option, reason: str, signer: Signer, graph: Graph, index: RowIndex, *, quiet: bool
) -> dict[str, Any]:
    """Sign, train what is to be trained through Dagster, withdraw, probe, certify.

    Where a successor is refused or a run stops, nothing is withdrawn: the same command goes on.
    """
    from forge_dagster.provenance.actor import actor

    exclusion = sign(home(), plan, option, reason, actor(), signer)
    recipes = [model.recipe for model in plan.models]
    if option != "quarantine" and recipes:
        _train(recipes, option, keep_benchmark="benchmark" not in plan.rows, quiet=quiet)
    gone = withdraw(home(), exclusion.name, plan.withdrawn)
    successors = {} if option == "quarantine" else {name: _successor(name) for name in recipes}
    probes = _probes(plan, graph, index) if successors else []
    path, _ = certify(home(), plan, exclusion, option, successors, probes, signer)
    return {"certificate": str(path), "withdrawn": gone, "successors": successors, "probes": probes}


def _train(recipes: list[str], option: Option, *, keep_benchmark: bool, quiet: bool) -> None:
    """Make the successors. Ends the command with the exit code of what refused them.

    A benchmark without items of an erased document is kept for a resumed training: made again without the document it
    might ask otherwise, and so leave other documents out of the corpus.
    """
    from forge_dagster.cli.plan import with_ancestors
    from forge_dagster.cli.report import show_launch
    from forge_dagster.cli.run import bring_up_to_date, leave_unless_complete

    declared = load_declared().in_full()  # going on from the model that serves would keep what it learnt
    hops = all_hops(declared)
    wanted = with_ancestors(hops, [hop for hop in hops if hop.asset.split("/")[0] in recipes])
    stand = {*AS_THEY_ARE, *(["domain_benchmark"] if keep_benchmark else [])}
    chosen = [hop for hop in wanted if option == "retrain" or hop.asset.split("/")[0] not in stand]
    report = bring_up_to_date(declared, hops, chosen, force=False, quiet=quiet)
    if not quiet:
        show_launch(report)
    elif report["errors"]:
        print_json(report)
    leave_unless_complete(report)


def _successor(recipe: str) -> dict[str, Any]:
    """The release that takes the place, its pre-training, and after which step that began."""
    store = ArtifactStore(home().artifacts)
    release = store.current(f"{recipe}/release")
    found: dict[str, Any] = {"release": f"{recipe}/release@{release}" if release else None}
    for key in store.current_below(recipe):
        digest = str(store.current(key))
        begun = store.here(key, digest) / "beside" / "begun.json"
        if begun.exists():
            found |= {"pre_training": f"{key}@{digest}", **json_lines.loads(begun.read_bytes())}
    return found


def _probes(plan: Plan, graph: Graph, index: RowIndex) -> list[dict[str, Any]]:
    """Of each model, before and after: what it gives of erased text, and of held-out text beside it."""
    store = ArtifactStore(home().artifacts)
    texts = {each.document: _text(graph, index, each.document) for each in plan.documents if each.because == "asked"}
    asked = {document: text for document, text in list(texts.items())[:MOST_PROBED] if text}
    if not asked:
        return []
    others = _held_out(store)
    found = []
    for model in plan.models:
        key, _, digest = model.last.partition("@")
        before = probe(store.content(key, digest), list(asked.values()))
        given = probe(store.content(key, str(store.current(key))), [*asked.values(), *others])
        after, held_out = given[: len(asked)], given[len(asked) :]
        for document, old, new in zip(asked, before, after, strict=True):
            found.append({"recipe": model.recipe, "document": document, "before": old._asdict(), "after": new._asdict(),
                          "held_out_after": _mean(held_out)})  # fmt: skip
    return found


def _mean(given: list[Given]) -> dict[str, float]:
    return {name: round(sum(getattr(each, name) for each in given) / len(given), 4) for name in Given._fields}


def _text(graph: Graph, index: RowIndex, document: str) -> str:
    rows = [row["text"] for node in graph.of("clean_documents")
            for row in index.rows(node, "documents.parquet", "id", document, ["text"])]  # fmt: skip
    return str(rows[-1]) if rows else ""


def _held_out(store: ArtifactStore) -> list[str]:
    """Texts that no model trains on."""
    import pyarrow.parquet as pq

    node = Node("corpus", str(store.current("corpus")))
    batch = next(pq.ParquetFile(store.content(*node) / "validation.parquet").iter_batches(HELD_OUT, columns=["text"]))
    return [text for text in batch["text"].to_pylist() if text]


def _show(plan: Plan) -> None:
    for each in plan.documents:
        names = ", ".join(plan.names[each.document]) or "nowhere now"
        out.print(f"{each.document[:12]} ({each.because}): {names}", markup=False)
    out.print("used in: " + ", ".join(f"{count} {kind}" for kind, count in plan.rows.items()))
    for release, standing in plan.releases.items():
        out.print(f"learnt from it: {release.partition('@')[0]}@{release.partition('@')[2][:12]} ({standing})")
    table = Table("recipe", "option", "begins after step", "steps", "operations", "hours", box=None, pad_edge=False)
    for model in plan.models:
        for option, cost in model.options.items():
            table.add_row(escape(model.recipe), option, f"{cost.begins_at:,}", f"{cost.steps:,}",
                          f"{cost.floating_point_operations:.3g}", f"{cost.hours:.3f}")  # fmt: skip
    if plan.models:
        out.print(table)
    for what, where in plan.keeps_trace.items():
        if where:
            out.print(f"keeps a trace: {len(where)} {what}")
    out.print(f"Plan {plan.digest[:12]}. Nothing was done; to do it: --key NAME --plan {plan.digest[:12]}")
