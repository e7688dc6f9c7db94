"""`forge where-used`: from a document, or from a text that documents hold, to every release it reached."""

from collections import defaultdict
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.tree import Tree

from forge_dagster.cli.console import Json, err, out, print_json
from forge_dagster.errors import UserError
from forge_dagster.home import home
from forge_dagster.lineage.find import Finder, Found, How
from forge_dagster.lineage.graph import Graph
from forge_dagster.lineage.row_index import RowIndex
from forge_dagster.lineage.where_used import Use, WhereUsed
from forge_dagster.provenance.store import ArtifactStore

MOST_LINES = 5  # of one kind of row and of steps in the tree; --json gives all
LONGEST = 110  # characters of a line
TITLES = {
    "raw": "read as it is", "clean": "cleaning", "split": "duplicates and split", "corpus": "corpus",
    "shards": "token shards", "generated": "rows that a model wrote", "instructions": "instructions",
    "policy_items": "policy items", "preferences": "preferences", "benchmark": "benchmark items",
    "tokenizer": "tokenizer", "checkpoint": "checkpoints", "adapter": "adapters", "release": "releases",
    "export": "exports",
}  # fmt: skip


def opened() -> tuple[Graph, RowIndex]:
    """The graph of the home, and the indexes in its cache."""
    graph = Graph(ArtifactStore(home().artifacts))
    return graph, RowIndex(graph, home().cache / "lineage")


def command(
    document: Annotated[
        str,
        typer.Argument(help="An id (6 digits will do), a path, SOURCE/PATH, or a text such as a name or an e-mail."),
    ],
    how: Annotated[str | None, typer.Option("--as", help="id, path or text; tried in this order if not given.")] = None,
    json: Json = False,
) -> None:
    """Show all that a document became part of, in every version that stands: rows, steps, checkpoints, releases.

    A text is looked for in the raw documents, so that it is found where cleaning replaced it. Which steps of a
    pre-training read a document is computed from the record and the shards.

    Examples: `forge where-used handbook/travel.md`; `forge where-used "Jane Doe" --json`.
    """
    if how not in (None, "id", "path", "text"):
        raise UserError(f"--as {how}", rule="one of id, path, text")
    graph, index = opened()
    kind: How | None = how  # type: ignore[assignment]
    found = Finder(graph, index).find(document, kind, _progress)
    asking = WhereUsed(graph, index)
    answers = [(each, asking.uses(each.document)) for each in found]
    if json:
        said = [
            {**each.model_dump(mode="json"), "uses": [use.model_dump(mode="json") for use in uses]}
            for each, uses in answers
        ]
        print_json({"asked": document, "documents": said})
        return
    for each, uses in answers:
        out.print(_tree(each, uses))


def _progress(done: int, total: int) -> None:
    if err.is_terminal:
        err.print(f"{done:,} of {total:,} raw documents looked through", end="\r")


def _tree(found: Found, uses: list[Use]) -> Tree:
    tree = Tree(escape(f"{', '.join(found.names)}\nid {found.document}"))
    if found.by == "text":
        said = {None: "the document was not kept", False: "cleaning replaced it or left it out", True: "left in"}
        tree.add(f"the text: {said[found.in_clean_text]}")
    by_kind: dict[str, list[Use]] = defaultdict(list)
    for use in uses:
        by_kind[use.kind].append(use)
    for kind, title in TITLES.items():
        if kind not in by_kind:
            continue
        lines: dict[str, list[str]] = defaultdict(list)
        for use in by_kind[kind]:
            lines[_line(use)].append(str(use.node))
        branch = tree.add(f"{title} ({len(lines)})" if len(lines) > 1 else title)
        for line, nodes in list(lines.items())[:MOST_LINES]:
            versions = nodes[0] if len(nodes) == 1 else f"{len(nodes)} versions, {nodes[-1]}"
            branch.add(escape(f"{line[:LONGEST]}  [{versions}]"))
        if len(lines) > MOST_LINES:
            branch.add(f"and {len(lines) - MOST_LINES} more (--json)")
    return tree


def _line(use: Use) -> str:
    told: dict[str, Any] = dict(use.told)
    if use.kind in ("raw", "clean", "corpus", "split"):
        line = told["disposition"] + (f": {told['reason']}" if told["reason"] else "")
        if use.kind == "clean" and "licence" in told:
            line += f", {told['redactions']} values replaced, licence {told['licence']}, {told['sensitivity']}"
        if use.kind == "split":
            line += f", side {told['split'] or '-'}, cluster {told['cluster'][:12]}"
            line += f", with {', '.join(told['duplicates'][:3])}" if told["duplicates"] else ""
        return line + (f", side {told['side']}" if use.kind == "corpus" and told["side"] else "")
    if use.kind == "shards":
        erased = ", erased: its place is left empty" if told["erased"] else ""
        return f"{told['split']}: {told['shard']}, tokens {told['start']} to {told['start'] + told['length']}{erased}"
    if use.kind in ("checkpoint", "adapter"):
        return f"{use.artifact}: {_training(told)}"
    if use.kind in ("release", "export"):
        how = ["learnt from it"] if told["learnt_in"] else []
        how += ["judged by its items"] if told["judged_by_its_items"] else []
        of = f" of {told['release']}" if use.kind == "export" else ""
        return f"{use.artifact}{of}: {', '.join(how)}{', current' if told['current'] else ''}"
    if use.kind == "benchmark":
        return f"{told['task']} ({told['role']}): {told['question']}"
    if use.kind == "tokenizer":
        return str(told["note"])
    rule = "/".join(str(told[name]) for name in ("policy", "rule", "split") if told.get(name))
    return f"row {told['row']}, {rule}: {told.get('question') or told.get('prompt')}"


def _training(told: dict[str, Any]) -> str:
    parts = []
    if steps := told.get("pre_training"):
        named = ", ".join(map(str, steps["steps"][:MOST_LINES])) + (", ..." if len(steps["steps"]) > MOST_LINES else "")
        parts.append(f"{len(steps['steps'])} of {steps['of']} steps ({named}), read {steps['times']:.3g} times")
        if steps["without_effect"]:
            parts.append(f"{len(steps['without_effect'])} of them skipped or taken back")
    parts += [f"{count} rows of {name}" for name, count in told.get("rows", {}).items()]
    parts += [f"goes on from {each}" for each in told.get("goes_on_from", ())]
    return "; ".join(parts)
