"""`forge export`: the release that serves as files of other runtimes, each compared with the original and judged."""

import json as json_lines
from typing import Annotated, Any

import typer
from rich.table import Table

from assets.exports import export_hops, export_key
from forge_dagster.cli.console import Json, amount, err, out, print_json
from forge_dagster.cli.progress import watching
from forge_dagster.cli.report import summary
from forge_dagster.cli.run import leave_unless_complete
from forge_dagster.declared import Declared, load_declared
from forge_dagster.errors import UserError
from forge_dagster.evaluation.card import read_card
from forge_dagster.export_kinds import Target, export_kind_names, require, taking, targets
from forge_dagster.exporting import CHECK_NAMES, EXPORT, FILE, GATED, RELEASE, SPEED, scores_in
from forge_dagster.home import home
from forge_dagster.provenance.run import Run
from forge_dagster.provenance.store import ArtifactStore


def command(
    recipe: Annotated[str, typer.Argument(help="Recipe whose serving release is exported.")],
    to: Annotated[
        list[str] | None,
        typer.Option(
            help="gguf, ct2 or onnx, or one precision, e.g. gguf/q4_0; repeatable. Default: all that take it."
        ),
    ] = None,
    max_loss: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="The most that may be lost: share of benchmark items, and bits per byte. Default: the recipe's.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option(help="Make the exports again even where they stand.")] = False,
    json: Json = False,
) -> None:
    """Make the release that serves into files of llama.cpp, CTranslate2 or ONNX Runtime.

    Each export is an artifact. Its runtime is asked the benchmark's items and held-out text, as the original is; one
    whose tokens or log p differ, or that loses more than agreed, is refused with figures. The terms of the documents
    travel with it. How much may be lost stands in recipes/exports/RECIPE.yaml (`forge schema exports`).

    Examples: `forge export tiny-dense`; `forge export tiny-dense --to gguf/q8_0 --to ct2 --max-loss 0.01`.
    """
    declared = load_declared()
    if recipe not in declared.recipes:
        raise UserError(f"{recipe!r}", rule=f"a recipe is one of {', '.join(declared.recipes)}", mend="choose one")
    architecture = _architecture(recipe)
    chosen = targets(to or (), architecture)
    for name in {target.kind for target in chosen}:
        require(name)
    left_out = [name for name in export_kind_names() if name not in taking(architecture)]
    if not to and left_out and not json:
        err.print(f"left out: {', '.join(left_out)} does not take {architecture}")
    if max_loss is not None:
        policy = declared.exporting(recipe).model_copy(update={"max_loss": max_loss, "max_bits": max_loss})
        declared = declared.model_copy(update={"exports": {**declared.exports, recipe: policy}})
    report = _make(declared, recipe, chosen, force=force, quiet=json)
    rows = _rows(recipe, chosen, report)
    if json:
        print_json({**report, "exports": rows})
    else:
        _show(rows, report)
    leave_unless_complete(report)


def _architecture(recipe: str) -> str:
    """Of the release that serves. Raises UserError if none does, IntegrityError if its bytes differ."""
    store, key = ArtifactStore(home().artifacts), f"{recipe}/release"
    digest = store.serving(key)
    if digest is None:
        raise UserError(
            f"{recipe} has no release that serves" + (": what it had was withdrawn" if store.versions(key) else ""),
            rule="an export is made of the release that serves",
            mend=f"forge run --recipe {recipe}",
        )
    store.verify(key, digest)
    config = json_lines.loads((store.content(key, digest) / "model" / "config.json").read_bytes())
    return str(config["model_type"])


def _make(declared: Declared, recipe: str, chosen: list[Target], *, force: bool, quiet: bool) -> dict[str, Any]:
    from forge_dagster.cli.launcher import export_job, launch, new_launch_id

    by_key = {hop.key: hop for hop in export_hops(declared)}
    keys = [export_key(recipe, target) for target in chosen]
    if unknown := [key for key in keys if key not in by_key]:
        raise UserError(
            f"{', '.join(unknown)}: the recipe has another architecture by now than the release that serves",
            rule="an export takes both",
            mend=f"forge run --recipe {recipe}",
        )
    hops = [by_key[key] for key in keys]
    launch_id = new_launch_id()
    with watching(Run(home(), launch_id), quiet=quiet):
        result = launch(home(), declared, hops, hops, force=force, launch_id=launch_id, job=export_job)
    return summary(home(), result, hops)


def _rows(recipe: str, chosen: list[Target], report: dict[str, Any]) -> list[dict[str, Any]]:
    """The original, then each export: size, speed, scores with intervals, verdict."""
    store = ArtifactStore(home().artifacts)
    digests = {row["artifact"]: row["digest"] for row in report["artifacts"]}
    refused = {error["key"]: error["message"] for error in report["errors"]}
    rows: list[dict[str, Any]] = []
    for target in chosen:
        key = export_key(recipe, target)
        if digests.get(key) is None:
            rows.append({"export": str(target), "verdict": "refused", **_refused(key, refused.get(key, "not made"))})
            continue
        version = store.version(key, digests[key])
        told = json_lines.loads((version / "content" / FILE).read_bytes())
        speed = json_lines.loads((version / "beside" / SPEED).read_bytes())
        scores = scores_in(version / "content")
        if not rows or rows[0]["export"] != RELEASE:
            ref = store.record(key, digests[key]).identity.inputs[RELEASE]
            weights = store.content(str(ref.key), ref.digest) / "model" / "model.safetensors"
            first = {"artifact": f"{ref.key}@{ref.digest}", "bytes": weights.stat().st_size}
            rows.insert(
                0, {"export": RELEASE, **first, **_told(scores[RELEASE], speed, RELEASE), "verdict": "original"}
            )
        rows.append({
            "export": str(target), "artifact": f"{key}@{digests[key]}", "bytes": told["bytes"],
            **_told(scores[EXPORT], speed, EXPORT), "agreement": told["agreement"], "label": told["label"],
            "path": str(version / "content" / "model"), "verdict": "pass",
            "reason": "; ".join(verdict.reason for verdict in read_card(version / "content").gates),
        })  # fmt: skip
    return rows


def _refused(key: str, message: str) -> dict[str, Any]:
    """Why, and the figures that the refusal left, if it came to any."""
    left = sorted((home().verdicts / key).glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    if not message.startswith(f"{key}: check ") or not left:
        return {"reason": message}
    (told,) = (each["observed"] for each in json_lines.loads(left[-1].read_bytes()) if each["name"] == CHECK_NAMES[2])
    return {"reason": "; ".join(told["lost"]) or message, "bytes": told["bytes"], "scores": told["scores"][EXPORT]}


def _told(scores: dict[str, Any], speed: dict[str, Any], name: str) -> dict[str, Any]:
    return {"scores": scores, "tokens_per_second": speed["tokens_per_second"][name], "threads": speed["threads"]}


def _show(rows: list[dict[str, Any]], report: dict[str, Any]) -> None:
    table = Table("export", "size", "tokens/s", *GATED, "verdict", box=None, pad_edge=False)
    for row in rows:
        cells = [_cell(row["scores"][metric]) if "scores" in row else "-" for metric in GATED]
        size = amount(row["bytes"]) if "bytes" in row else "-"
        speed = f"{row['tokens_per_second']:,.0f}" if "tokens_per_second" in row else "-"
        table.add_row(row["export"], size, speed, *cells, row["verdict"])
    out.print(table)
    for row in rows:
        if row.get("reason"):
            out.print(f"{row['export']}: {row['reason']}", markup=False, soft_wrap=True)
        if "path" in row:
            out.print(f"  in {row['path']}", markup=False, soft_wrap=True)
    for error in report["errors"]:
        if not error["key"].startswith("export/"):
            err.print(f"{error['key']}: {error['message']}", markup=False)


def _cell(score: dict[str, Any]) -> str:
    bounds = score["interval"]
    return f"{score['value']:.4f}" + (f" ({bounds[0]:.3f} to {bounds[1]:.3f})" if bounds else "")
