"""`forge inspect`: one document's way, decision by decision."""

from itertools import islice
from typing import Annotated

import typer

from forge_dagster.cli.console import Json, out, print_json
from forge_dagster.cli.corpus import contents
from forge_dagster.corpus.journey import difference, find, journey, text_after, text_before
from forge_dagster.corpus.views import open_views

LEFT_OUT = {"path", "source", "id", "disposition", "reason", "redactions", "quality", "alike"}


def command(
    document: Annotated[str, typer.Argument(help="Id (6 digits will do), path, or SOURCE/PATH; a member: BOX!/PATH.")],
    lines: Annotated[int, typer.Option(min=0, help="Lines of the difference that are shown.")] = 60,
    json: Json = False,
) -> None:
    """Show what became of a document at each stage and why, and its text before and after cleaning.

    The text before is the raw document's: redacted values can be read here by whoever may read the source.
    """
    folders = contents()
    with open_views(folders) as connection:
        found = find(connection, document)
        stages = journey(connection, found)
        before = text_before(folders, found) if stages["raw"]["disposition"] == "kept" else ""
        after = text_after(connection, found) if "clean" in stages else ""
    if json:
        print_json({"document": found, "stages": _text(stages), "before": before, "after": after})
        return
    out.print(f"{found['source']}/{found['path']}\nid {found['id']}", markup=False)
    for stage, decided in stages.items():
        reason = f": {decided['reason']}" if decided["reason"] else ""
        out.print(f"\n{stage:<8}{decided['disposition']}{reason}", markup=False)
        for name, value in decided.items():
            if name not in LEFT_OUT and value not in (None, "", []):
                out.print(f"    {name}: {value}", markup=False)
        for name, value in (decided.get("quality") or {}).items():
            out.print(f"    {name}: {value:.3g}", markup=False)
        for span in decided.get("redactions") or ():
            out.print(f"    replaced {span['kind']} at {span['start']} to {span['end']}", markup=False)
        for name in decided.get("alike", ())[:20]:
            out.print(f"    in the cluster: {name}", markup=False)
    if after:
        out.print()
        for line in islice(difference(before, after), lines):
            out.print(line, markup=False)


def _text(value: object) -> object:
    if isinstance(value, dict):
        return {key: _text(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_text(each) for each in value]
    return value if value is None or isinstance(value, str | int | float) else str(value)
