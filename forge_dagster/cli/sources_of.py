"""`forge sources-of`: the documents of a release, how often each stage read them, and under what terms."""

from pathlib import Path
from typing import Annotated

import pyarrow.csv
import pyarrow.parquet
import typer
from rich.markup import escape
from rich.table import Table

from forge_dagster.cli.console import Json, out, print_json
from forge_dagster.cli.show import resolve
from forge_dagster.cli.where_used import opened
from forge_dagster.corpus.rights import joined, learnt_from
from forge_dagster.errors import UserError
from forge_dagster.home import home
from forge_dagster.lineage.graph import EXPORT, RELEASE, Node
from forge_dagster.lineage.sources_of import TERMS, by_source, corpora_of, sources_of
from forge_dagster.provenance.store import ArtifactStore

Release = Annotated[str, typer.Argument(help="RECIPE, RECIPE/release or RECIPE/release@DIGEST; or an export.")]
Target = Annotated[Path | None, typer.Option(help="Write every document to this file: .csv or .parquet.")]


def release_of(name: str) -> Node:
    """The version of a release that a name means, the current one if it names none; of an export that it was made of.

    Raises UserError.
    """
    key, at, digest = name.partition("@")
    if key.startswith(EXPORT):
        made_of = ArtifactStore(home().artifacts).record(*resolve(name)).identity.inputs["release"]
        return Node(str(made_of.key), made_of.digest)
    return Node(*resolve(f"{key.removesuffix(RELEASE)}{RELEASE}{at}{digest}"))


def command(release: Release, to: Target = None, json: Json = False) -> None:
    """Show the documents that a release was trained on: how often each stage read them, their terms,
    and the strictest of these, which are those of the release.

    Of a pre-training it says how often a document's tokens were read; of later stages how many rows made of the
    document they learnt from. The table is by source; --json, and --to FILE, have every document.

    Examples: `forge sources-of tiny-dense`; `forge sources-of tiny-dense --to documents.csv`.
    """
    if to is not None and to.suffix not in (".csv", ".parquet"):
        raise UserError(f"--to {to}", rule="a name that ends in .csv or .parquet")
    node = release_of(release)
    graph, index = opened()
    documents = sources_of(graph, index, node)
    label = joined(learnt_from(corpora_of(graph, node)))
    if to is not None:
        _write(documents, to)
    if json:
        rows = documents.to_pylist()
        told = {"label": label.model_dump(mode="json"), "sources": by_source(documents), "documents": rows}
        print_json({"release": node.key, "digest": node.digest, **told})
        return
    out.print(f"{node}: {len(documents):,} documents")
    sources = by_source(documents)
    columns = [name for name in sources[0] if name not in ("legal_basis", "retention")]
    table = Table(*columns, box=None, pad_edge=False)
    for source in sources:
        table.add_row(*(escape(_cell(source[name])) for name in columns))
    out.print(table)
    out.print(f"label: {label.sensitivity}; for {', '.join(label.audience)}; {', '.join(label.licences)}", markup=False)
    for term, forced in label.forced_by.items():
        out.print(f"  {term} is forced by {forced.documents:,} documents, such as {forced.first[0]}", markup=False)
    if to is not None:
        out.print(f"{len(documents):,} rows in {to}", markup=False)


def _write(documents: "pyarrow.Table", to: Path) -> None:
    if to.suffix == ".parquet":
        pyarrow.parquet.write_table(documents, to, compression="zstd")
        return
    for at, name in enumerate(documents.column_names):
        if name in TERMS and pyarrow.types.is_list(documents.schema.field(name).type):
            joined = [None if value is None else ", ".join(value) for value in documents[name].to_pylist()]
            documents = documents.set_column(at, name, pyarrow.array(joined, pyarrow.string()))
    pyarrow.csv.write_csv(documents, to)


def _cell(value: object) -> str:
    if isinstance(value, list):
        return "; ".join(map(str, value))
    return f"{value:.2f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value or "-")
