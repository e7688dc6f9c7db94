"""The release: the last checkpoint with its scorecard, manifest and model card; refused unless every gate passes."""

import json
import shutil
import struct
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pydantic import ValidationError

from forge_dagster.chain import scored
from forge_dagster.errors import VerdictError
from forge_dagster.evaluation.score import Score, plain, scored_digests
from forge_dagster.gates import Verdict, judge, passed
from forge_dagster.model_card import model_card
from forge_dagster.provenance.files import content_digest, list_files, sha256_file
from forge_dagster.recipe import UNTRAINED, Recipe
from forge_dagster.stage import Finding, FrozenModel, Report, Stage, StageContext
from forge_dagster.tokens.encoding import TOKENIZER_FILES

WEIGHTS = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
NAMES = ("every_weight_is_in_the_manifest", "every_gate_passes")


class ReleaseConfig(FrozenModel):
    """The recipe that is released, its gates included."""

    recipe: Recipe


def read_scores(path: Path) -> dict[str, dict[str, Score]]:
    """Scores of a scorecard. Raises VerdictError if it is missing, empty or not one."""
    try:
        body = json.loads(path.read_bytes())
        scores = {
            name: {metric: Score.model_validate(score) for metric, score in by.items()}
            for name, by in body["checkpoints"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ValidationError) as error:
        raise VerdictError(f"{path} is no scorecard: {error}", rule="no release without a scorecard") from error
    if len(scores) < 2:
        raise VerdictError(f"{path} scores {sorted(scores)}", rule="the untrained model and a checkpoint are scored")
    return scores


def run(inputs: Mapping[str, Path], config: ReleaseConfig, out: Path, context: StageContext) -> Report:
    """Judge the gates anew from the scores, then copy weights and write manifest and model card.

    Raises VerdictError naming each failed gate, or if the scores are not of these weights, or the checkpoint is not
    one file of safetensors with its tokenizer. Whether the scorecard says `passed` counts for nothing.
    """
    scores = read_scores(inputs["scorecard"] / "scorecard.json")
    expected = [UNTRAINED, *scored(config.recipe)]
    if list(scores) != expected:
        raise VerdictError(f"the scorecard scores {list(scores)}", rule=f"every checkpoint in order: {expected}")
    verdicts = judge(config.recipe.gates, plain(scores))
    failed = [verdict for verdict in verdicts if not verdict.passed]
    if not passed(verdicts):
        raise VerdictError(
            f"{config.recipe.name} is not released: " + "; ".join(verdict.reason for verdict in failed),
            rule="every gate of the recipe passes",
            mend="train longer or on more documents, or change `gates` in the recipe",
            findings=[finding.model_dump(mode="json") for finding in _findings(True, failed)],
        )
    _is_licensed(inputs["corpus"], config.recipe)
    _is_whole(inputs["checkpoint"], inputs["tokenizer"])
    _is_what_was_scored(inputs["checkpoint"], inputs["scorecard"] / "scorecard.json", expected[-1])
    context.progress(1, 3, "copying weights")
    (out / "model").mkdir()
    for name in WEIGHTS:
        shutil.copyfile(inputs["checkpoint"] / name, out / "model" / name)
    shutil.copyfile(inputs["scorecard"] / "scorecard.json", out / "scorecard.json")
    context.progress(2, 3, "manifest and model card")
    data = _data_summary(inputs["corpus"])
    (out / "README.md").write_text(model_card(config.recipe, scores, verdicts, data), encoding="utf-8")
    files = {path.relative_to(out).as_posix(): sha256_file(path) for path in sorted(out.rglob("*")) if path.is_file()}
    manifest = {
        "version": 1,
        "recipe": config.recipe.model_dump(mode="json"),
        "gates": [verdict.model_dump() for verdict in verdicts],
        "data": data,
        "made_from": {name: content_digest(list_files(folder)) for name, folder in sorted(inputs.items())},
        "files": files,
    }
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True), encoding="utf-8")
    last = next(reversed(scores.values()))
    return Report(
        counts={"files": len(files) + 1, "gates": len(verdicts), "documents": data["documents"]},
        metrics={verdict.metric: last[verdict.metric].value for verdict in verdicts},
    )


def _is_licensed(corpus: Path, recipe: Recipe) -> None:
    unknown = sorted({spec.name for spec in recipe.external if spec.licence == "unknown"})
    if unknown:
        raise VerdictError(
            f"the licence of the open weights {', '.join(unknown)} is unknown",
            rule="a model is released when the terms of the weights it goes on or learns from are known",
            mend="set their `licence` in the recipe",
        )
    table = pq.read_table(corpus / "train.parquet", columns=["source", "licence"]).to_pylist()
    unknown = sorted({row["source"] for row in table if row["licence"] == "unknown"})
    if unknown:
        raise VerdictError(
            f"the licence of source {', '.join(unknown)} is unknown",
            rule="a model is released when the terms of every document it was trained on are known",
            mend="set `licence` in the source's file, or run with --licence, e.g. --licence internal",
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


def _is_what_was_scored(checkpoint: Path, scorecard: Path, stage: str) -> None:
    scored = json.loads(scorecard.read_bytes()).get("scored", {}).get(stage)
    found = scored_digests(checkpoint)
    if scored != found:
        differ = sorted(name for name in found if (scored or {}).get(name) != found[name])
        raise VerdictError(
            f"the scorecard is of another {stage} checkpoint: {', '.join(differ)} differ",
            rule="the scores of a release are scores of its own weights",
            mend="make the scorecard again, then the release",
        )


def _data_summary(corpus: Path) -> dict[str, Any]:
    table = pq.read_table(corpus / "train.parquet", columns=["source", "licence", "sensitivity"])
    counted = {name: dict(sorted(Counter(table[name].to_pylist()).items())) for name in table.column_names}
    return {"documents": table.num_rows, **{f"documents_by_{name}": by for name, by in counted.items()}}


def _findings(whole: bool, failed: list[Verdict]) -> list[Finding]:
    return [
        Finding(name=NAMES[0], passed=whole),
        Finding(name=NAMES[1], passed=not failed, observed={"failed": [verdict.reason for verdict in failed]}),
    ]


def check(content: Path) -> list[Finding]:
    """The manifest names every file by its digest, and its gates passed."""
    manifest = json.loads((content / "manifest.json").read_bytes())
    found = {p.relative_to(content).as_posix(): sha256_file(p) for p in sorted(content.rglob("*")) if p.is_file()}
    found.pop("manifest.json")
    verdicts = [Verdict.model_validate(gate) for gate in manifest["gates"]]
    return _findings(found == manifest["files"], [verdict for verdict in verdicts if not verdict.passed])


STAGE = Stage(run=run, check=check, check_names=NAMES)
