"""The release: the last checkpoint with its scorecard, manifest and model card; refused unless every gate passes."""

import json
import shutil
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from forge_dagster.corpus.rights import joined, learnt_from, refuse_above
from forge_dagster.errors import VerdictError
from forge_dagster.evaluation import card, evidence
from forge_dagster.evaluation.audit import audited
from forge_dagster.evaluation.scorecard import ScorecardConfig
from forge_dagster.gates import Verdict
from forge_dagster.model_card import model_card
from forge_dagster.override import Override
from forge_dagster.provenance.canonical import fingerprint
from forge_dagster.provenance.files import content_digest, list_files, sha256_file
from forge_dagster.provenance.incumbent import FORMER
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.verify import Findings, verify_ledger
from forge_dagster.recipe import Recipe
from forge_dagster.stage import Finding, FrozenModel, Report, Stage, StageContext
from forge_dagster.tokens.encoding import TOKENIZER_FILES

WEIGHTS = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
LEDGER = "ledger"
"""Input where the recipe has overrides: the ledger they have to stand in."""
NAMES = ("every_weight_is_in_the_manifest", "every_gate_passes")


class Pairs(FrozenModel):
    """A source of pairs beside the documents, and its terms."""

    name: str
    kind: str
    licence: str


class ReleaseConfig(FrozenModel):
    """The recipe that is released, how it is scored and judged, what people overrode, the pairs it learnt from."""

    recipe: Recipe
    scoring: ScorecardConfig
    overrides: tuple[Override, ...]
    pairs: tuple[Pairs, ...]


def run(inputs: Mapping[str, Path], config: ReleaseConfig, out: Path, context: StageContext) -> Report:
    """Judge the gates anew from the results of items, then copy weights and write manifest and model card.

    Raises VerdictError naming each failed gate that nobody overrode, or if an override is not in the ledger, or if the
    scorecard is not what the evidence gives or not of these weights, or the checkpoint is not one file of safetensors
    with its tokenizer. Whether the scorecard says `passed` counts for nothing.
    """
    judged = audited(inputs, config.scoring, context.work)
    scores, verdicts = judged.checkpoints, judged.gates
    weights = judged.scored[config.scoring.checkpoints[-1]]["model.safetensors"]
    waived = [override for override in config.overrides if override.checkpoint == weights]
    failed, waived = _held_back(verdicts, waived)
    _are_stated(config.recipe.name, waived, inputs)
    if failed or not (waived or any(verdict.outcome == "passed" for verdict in verdicts)):
        raise VerdictError(
            f"{config.recipe.name} is not released: "
            + ("; ".join(verdict.reason for verdict in failed) or "no gate has passed"),
            rule="every gate of the recipe passes",
            mend="train longer or on more documents, change `gates` in the recipe, or let two people answer for it: "
            "forge override",
            findings=[finding.model_dump(mode="json") for finding in _findings(True, failed)],
        )
    former = [inputs[name] for name in sorted(inputs) if name.startswith(f"{FORMER}/")]
    documents = learnt_from([inputs["corpus"], *former])
    _is_licensed(documents, config)
    if config.recipe.limits is not None:
        refuse_above(documents, config.recipe.limits)
    _is_whole(inputs["checkpoint"], inputs["tokenizer"])
    context.progress(1, 3, "copying weights")
    (out / "model").mkdir()
    for name in WEIGHTS:
        shutil.copyfile(inputs["checkpoint"] / name, out / "model" / name)
    for name in (card.FILE, evidence.FILE):
        shutil.copyfile(inputs["scorecard"] / name, out / name)
    context.progress(2, 3, "manifest and model card")
    data = _data_summary(documents)
    data |= {"label": joined(documents).model_dump(mode="json")}
    data |= {"pairs": [pairs.model_dump() for pairs in config.pairs]}
    (out / "README.md").write_text(model_card(config.recipe, scores, verdicts, data, waived), encoding="utf-8")
    files = {path.relative_to(out).as_posix(): sha256_file(path) for path in sorted(out.rglob("*")) if path.is_file()}
    manifest = {
        "version": 2,
        "recipe": config.recipe.model_dump(mode="json"),
        "gates": [verdict.model_dump() for verdict in verdicts],
        "overrides": [override.model_dump(mode="json") for override in waived],
        "data": data,
        "made_from": {name: _digest(path) for name, path in sorted(inputs.items()) if name != LEDGER},
        "files": files,
    }
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True), encoding="utf-8")
    last = scores[config.scoring.checkpoints[-1]]
    return Report(
        counts={"files": len(files) + 1, "gates": len(verdicts), "documents": data["documents"]},
        metrics={verdict.metric: last[verdict.metric].value for verdict in verdicts},
    )


def _held_back(verdicts: Sequence[Verdict], overrides: Sequence[Override]) -> tuple[list[Verdict], list[Override]]:
    """Failed verdicts that no override of these weights answers for, and the overrides that answer for one."""
    failed = [verdict for verdict in verdicts if verdict.outcome == "failed"]
    answered = {override.metric for override in overrides}
    used = [override for override in overrides if override.metric in {verdict.metric for verdict in failed}]
    return [verdict for verdict in failed if verdict.metric not in answered], used


def stated_overrides(ledger: Path, recipe: str) -> str:
    """Digest of all that the ledger states of overrides of a recipe; the file itself grows with every run."""
    return fingerprint(list(Ledger(ledger).statements("override", recipe=recipe)))


def _are_stated(recipe: str, overrides: Sequence[Override], inputs: Mapping[str, Path]) -> None:
    if not overrides:
        return
    rule = "an override stands in the ledger, where `forge override` wrote who answers for it"
    found = Findings()
    verify_ledger(inputs[LEDGER], found)
    if found.problems:
        raise VerdictError("; ".join(found.problems), rule=rule, mend="restore the ledger from a copy")
    ledger = Ledger(inputs[LEDGER])
    forged = [
        each.metric
        for each in overrides
        if not any(ledger.statements("override", recipe=recipe, **each.model_dump(mode="json")))
    ]
    if forged:
        raise VerdictError(
            f"{recipe}: the ledger has no override of {', '.join(forged)} as recipes/overrides/{recipe}.yaml has it",
            rule=rule,
            mend="take it out of the file, then let two people answer for it: forge override",
        )


def _digest(path: Path) -> str:
    return sha256_file(path) if path.is_file() else content_digest(list_files(path))


def _is_licensed(documents: pa.Table, config: ReleaseConfig) -> None:
    unknown = sorted({spec.name for spec in config.recipe.external if spec.licence == "unknown"})
    if unknown:
        raise VerdictError(
            f"the licence of the open weights {', '.join(unknown)} is unknown",
            rule="a model is released when the terms of the weights it goes on or learns from are known",
            mend="set their `licence` in the recipe",
        )
    unlicensed = documents.filter(pc.equal(documents["licence"], "unknown"))
    unknown = sorted(pc.unique(unlicensed["source"]).to_pylist())
    if unknown:
        raise VerdictError(
            f"the licence of source {', '.join(unknown)} is unknown",
            rule="a model is released when the terms of every document it was trained on are known",
            mend="set `licence` in the source's file, or run with --licence, e.g. --licence internal",
        )
    unnamed = [pairs.name for pairs in config.pairs if pairs.licence == "unknown"]
    if unnamed:
        raise VerdictError(
            f"the licence of pairs {', '.join(unnamed)} is unknown",
            rule="a model is released when the terms of all pairs it was trained on are known",
            mend="set `licence` in sources/pairs",
        )


def _is_whole(checkpoint: Path, tokenizer: Path) -> None:
    rule = "a release is one file of safetensors with its configuration and its tokenizer"
    missing = [name for name in WEIGHTS if not (checkpoint / name).is_file()]
    if missing:
        raise VerdictError(f"the checkpoint has no {', '.join(missing)}", rule=rule, mend="make the checkpoint again")
    other = [name for name in TOKENIZER_FILES if (checkpoint / name).read_bytes() != (tokenizer / name).read_bytes()]
    if other:
        raise VerdictError(
            f"{', '.join(other)} of the checkpoint differ from the tokenizer's",
            rule="a model is released with the tokenizer it was trained on",
            mend="make the checkpoint again",
        )
    weights = checkpoint / "model.safetensors"
    size = weights.stat().st_size
    with weights.open("rb") as stream:
        start = stream.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        header = stream.read(length) if 8 + length <= size else b""
    if header[:1] != b"{":  # the format: length of the header in 8 bytes, a JSON object, the tensors
        raise VerdictError(f"{weights.name} of the checkpoint is no safetensors file", rule=rule, mend="make it again")


def _data_summary(documents: pa.Table) -> dict[str, Any]:
    told = ("source", "licence", "sensitivity")
    counted = {name: dict(sorted(Counter(documents[name].to_pylist()).items())) for name in told}
    return {"documents": documents.num_rows, **{f"documents_by_{name}": by for name, by in counted.items()}}


def _findings(whole: bool, failed: list[Verdict]) -> list[Finding]:
    return [
        Finding(name=NAMES[0], passed=whole),
        Finding(name=NAMES[1], passed=not failed, observed={"failed": [verdict.reason for verdict in failed]}),
    ]


def check(content: Path) -> list[Finding]:
    """The manifest names every file by its digest, and its gates passed or two people answer for them."""
    manifest = json.loads((content / "manifest.json").read_bytes())
    found = {p.relative_to(content).as_posix(): sha256_file(p) for p in sorted(content.rglob("*")) if p.is_file()}
    found.pop("manifest.json")
    verdicts = [Verdict.model_validate(gate) for gate in manifest["gates"]]
    failed, _ = _held_back(verdicts, [Override.model_validate(each) for each in manifest["overrides"]])
    return _findings(found == manifest["files"], failed)


STAGE = Stage(run=run, check=check, check_names=NAMES)
