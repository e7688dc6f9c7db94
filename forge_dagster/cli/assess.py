"""`forge assess`: what the documents are good for, what is wrong with them, and what to mend first."""

import webbrowser
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from assets.graph import all_hops
from forge_dagster.cli.console import Json, amount, err, out, print_json
from forge_dagster.cli.plan import select, with_ancestors
from forge_dagster.cli.run import bring_up_to_date, leave_unless_complete
from forge_dagster.cli.sources import Licence, Sources, use_folder
from forge_dagster.corpus.readiness.assessment import PAGE, Assessment, Worst, load
from forge_dagster.corpus.readiness.support import amount as many
from forge_dagster.declared import load_declared
from forge_dagster.home import home
from forge_dagster.provenance.store import ArtifactStore

ASSET = "readiness"
MOST_FIXES, MOST_DOCUMENTS = 8, 5  # on the terminal; the page has all
STYLES = {
    "yes": "green",
    "partly": "yellow",
    "no": "red",
    "blocks release": "bold red",
    "risk": "red",
    "tokens": "yellow",
}


def command(
    sources: Sources = None,
    licence: Licence = "unknown",
    open_: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    json: Json = False,
) -> None:
    """Say how many tokens the documents give, what they support, what is missing or stale, and what to fix first.

    Reads, cleans and deduplicates what has changed, trains nothing, and writes a page with plots.

    Examples: `forge assess`; `forge assess --sources ~/handbooks --licence internal --open`.
    """
    if sources is not None:
        use_folder(sources, licence)
    declared = load_declared()
    hops = all_hops(declared)
    needed = with_ancestors(hops, select(hops, [ASSET]))
    report = bring_up_to_date(declared, hops, needed, force=False, quiet=json)
    for error in report["errors"]:
        err.print("error: ", style="bold red", end="")
        err.print(f"{error['key']}: {error['message']}", markup=False)
    leave_unless_complete(report)
    digest = next(row["digest"] for row in report["artifacts"] if row["artifact"] == ASSET)
    content = ArtifactStore(home().artifacts).content(ASSET, digest)
    found = load(content)
    if json:
        print_json({**found.model_dump(mode="json"), "digest": digest, "page": str(content / PAGE)})
    else:
        show(found)
        out.print(f"\nPage with plots: {content / PAGE}", markup=False, soft_wrap=True)
        out.print("Next: mend the first of these, then forge assess again | forge run | forge corpus views")
    if open_:
        webbrowser.open((content / PAGE).as_uri())


def show(found: Assessment) -> None:
    """Print the report for people."""
    tokens, alike = found.tokens, found.duplication
    error = f" ± {tokens.error:.2f}" if tokens.error else ""
    copies = alike.exact + alike.near + alike.superseded
    spans = sum(each.spans for each in found.replaced)
    named = [f"{each.language} {each.bytes / found.train_bytes:.0%}" for each in found.languages]
    out.print(found.verdict, style="bold", markup=False)
    facts = Table(box=None, pad_edge=False, show_header=False)
    rows = {
        "training text": f"{many(tokens.train)} tokens, {amount(found.train_bytes)}; "
        f"{found.train_documents:,} documents of {found.steps[0].came:,} files",
        "counted with": f"byte-level BPE of {tokens.vocabulary:,} entries, trained on {amount(tokens.sampled_bytes)}: "
        f"{tokens.bytes_per_token:.2f}{error} bytes a token",
        "left out": "; ".join(
            f"{step.name} {step.dropped:,} dropped, {step.quarantined:,} quarantined"
            for step in found.steps
            if step.dropped + step.quarantined
        )
        or "nothing",
        "languages": ", ".join(named[:6]) + (f" and {len(named) - 6} more" if len(named) > 6 else ""),
        "copies": f"{alike.exact:,} exact, {alike.near:,} near, {alike.superseded:,} older versions: "
        f"{copies / (copies + alike.unique):.0%} of the clean documents",
        "replaced": ", ".join(f"{each.spans:,} {each.kind}" for each in found.replaced[:5]) + f" ({spans:,} in all)"
        if spans
        else "nothing",
        "dates": f"{found.ages.dated:,} documents state one, {found.ages.oldest} to {found.ages.newest}; "
        f"{found.ages.older_than_three_years:,} of them over three years older than the newest; "
        f"{found.ages.undated:,} state none"
        if found.ages.dated
        else "no document states when it was last changed",
    }
    for name, value in rows.items():
        facts.add_row(Text(name, style="dim"), plain(value))
    out.print(facts)
    _show_routes(found)
    _show_fixes(found)
    _show_documents("Trained on, and worst to read", found.worst)
    _show_documents("Not trained on, and largest", found.lost)


def _show_routes(found: Assessment) -> None:
    out.print("\nWhat this supports", style="bold")
    table = Table("route", "verdict", "what to expect; arithmetic", "after", box=None, pad_edge=False)
    for route in found.routes:
        said = Text(route.says)
        if route.arithmetic:
            said.append(f"\n{route.arithmetic}", style="dim")
        if route.judgement:
            said.append(f" Our judgement: {route.judgement}", style="dim")
        table.add_row(
            route.name,
            Text(route.verdict, style=STYLES[route.verdict]),
            said,
            Text("\n".join(route.sources), style="dim"),
        )
    out.print(table)


def _show_fixes(found: Assessment) -> None:
    out.print("\nWhat to fix first", style="bold")
    if not found.fixes:
        out.print("Nothing stands out.")
        return
    table = Table("", "kind", "what is wrong", "what is at stake", "how", box=None, pad_edge=False)
    for number, fix in enumerate(found.fixes[:MOST_FIXES], start=1):
        kind = Text(fix.kind, style=STYLES.get(fix.kind, ""))
        table.add_row(str(number), kind, plain(fix.problem), plain(fix.stake), plain(fix.mend))
    out.print(table)
    if len(found.fixes) > MOST_FIXES:
        out.print(f"{len(found.fixes) - MOST_FIXES} more on the page.", style="dim")


def _show_documents(title: str, documents: tuple[Worst, ...]) -> None:
    if not documents:
        return
    out.print(f"\n{title}", style="bold")
    table = Table("document", "why", "look", box=None, pad_edge=False)
    for each in documents[:MOST_DOCUMENTS]:
        look = Text(f"forge inspect {each.id[:12]}", no_wrap=True)
        table.add_row(plain(f"{each.source}/{each.path}"), plain("; ".join(each.reasons)), look)
    out.print(table)


def plain(text: Any) -> Text:
    """A document's words as they are: no markup, and what would steer the terminal shows as its code."""
    return Text("".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(text)))
