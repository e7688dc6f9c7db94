"""A small candidate for release: tasks of a few items, and a scorecard from results that a test may choose."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from forge_dagster import release
from forge_dagster.evaluation import evidence
from forge_dagster.evaluation.score import Result, scored_digests
from forge_dagster.evaluation.scorecard import ScorecardConfig, asked, assembled, tasks_of
from forge_dagster.override import Override
from forge_dagster.pairs import policy_items
from forge_dagster.policy import Policy
from forge_dagster.provenance.files import sha256_file
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.recipe import Recipe
from forge_dagster.release import Pairs, ReleaseConfig
from forge_dagster.stage import local_context

RECIPE = Recipe.model_validate(
    {
        "name": "small",
        "description": "A model for a test.",
        "seed": 1,
        "tokenizer": {"kind": "byte-bpe", "vocab_size": 300},
        "model": {
            "architecture": "qwen3", "hidden_size": 16, "intermediate_size": 32, "layers": 1, "heads": 2,
            "kv_heads": 1, "head_dim": 8, "tie_embeddings": False, "rope_theta": 10000,
        },
        "stages": [{"stage": "base", "settings": {}}, {"stage": "sft", "settings": {}}],
        "gates": [
            {"metric": "facts_seen.acc", "minimum": 0.8},
            {"metric": "validation.bits_per_byte", "below_untrained_by": 1.0, "maximum": 3.0},
        ],
    }
)  # fmt: skip
POLICY = Policy(
    name="answer-form", kind="answer_form", description="", settings={"template": "{answer}.", "form": "[^\\n]*\\."}
)
HEADER = json.dumps({"__metadata__": {"format": "pt"}}).encode()
SAFETENSORS = len(HEADER).to_bytes(8, "little") + HEADER
ITEMS = 40
GOOD = {
    "untrained": {"facts_seen.acc": 0.25, "validation.bits_per_byte": 4.0},
    "base": {"facts_seen.acc": 0.85, "validation.bits_per_byte": 2.0},
    "sft": {"facts_seen.acc": 0.9, "validation.bits_per_byte": 1.5},
}


class Candidate:
    """Folders of all that a release reads, and the release of it."""

    def __init__(self, root: Path, recipe: Recipe = RECIPE) -> None:
        self.root, self.recipe = root, recipe
        self.overrides: tuple[Override, ...] = ()
        self.ledger = Ledger(root / "ledger.jsonl")
        self.pairs: tuple[Pairs, ...] = ()
        names = (
            "checkpoint", "scorecard", "tokenizer", "corpus", "domain_benchmark", "instructions", "policy_items",
        )  # fmt: skip
        self.inputs = {name: root / name for name in names}
        for folder in self.inputs.values():
            folder.mkdir(parents=True)
        self._write_model(self.inputs["checkpoint"], SAFETENSORS)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(self.inputs["checkpoint"] / name, self.inputs["tokenizer"] / name)
        self.write_corpus()
        self.write_tasks({"facts_seen": "knowledge", "next_sentence": "generalisation"})
        self.score(GOOD)

    def _write_model(self, folder: Path, weights: bytes) -> None:
        folder.mkdir(exist_ok=True)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            (folder / name).write_text(name)
        for name in ("config.json", "generation_config.json"):
            (folder / name).write_text("{}")
        (folder / "model.safetensors").write_bytes(weights)

    def serve(self) -> None:
        """Let another model serve."""
        self.inputs["incumbent"] = self.root / "incumbent"
        self._write_model(self.inputs["incumbent"], SAFETENSORS + b"served")

    def write_corpus(self, licence: str = "internal", ids: Sequence[str] = "01234", **terms: Any) -> None:
        labels = {"licence": licence, "sensitivity": "public", "text": "One sentence of a document.",
                  "audience": ["everyone"], "permitted_use": ["training"], "jurisdiction": "EU", "retention": None,
                  **terms}  # fmt: skip
        rows = [
            {"id": given, "source": ("plant", "office")[n % 2], "path": f"{n}.txt", **labels}
            for n, given in enumerate(ids)
        ]
        schema = pa.Table.from_pylist(rows).schema
        schema = schema.set(schema.get_field_index("retention"), pa.field("retention", pa.string()))
        pq.write_table(pa.Table.from_pylist(rows, schema), self.inputs["corpus"] / "train.parquet")
        held_out = [{"id": f"v{number}", "source": "plant", "text": "word " * (number + 3)} for number in range(8)]
        pq.write_table(pa.Table.from_pylist(held_out), self.inputs["corpus"] / "validation.parquet")

    def write_tasks(self, roles: Mapping[str, str], **changes: Any) -> None:
        """Tasks of ITEMS items each; `changes` are to the first item of every task."""
        folder = self.inputs["domain_benchmark"]
        (folder / "items").mkdir(exist_ok=True)
        tasks = [
            {"name": name, "role": role, "kind": "multiple_choice", "items": f"items/{name}.jsonl", "version": 1}
            for name, role in roles.items()
        ]
        (folder / "benchmark.json").write_text(json.dumps({"version": 1, "tasks": tasks}))
        for task in tasks:
            items = [
                {"id": f"{task['name']}/{n}", "query": f"Question {n}?", "choices": list("abcd"), "gold": n % 4,
                 "document_ids": [f"held{n}"]}
                for n in range(ITEMS)
            ]  # fmt: skip
            items[0] |= changes
            (folder / str(task["items"])).write_text("".join(json.dumps(item) + "\n" for item in items))
        rows = [{"question": f"Who {number}?", "answer": "x", "split": "held_out"} for number in range(10)]
        pq.write_table(pa.Table.from_pylist(rows), self.inputs["instructions"] / "rows.parquet")
        pq.write_table(policy_items.ROWS.empty_table(), self.inputs["policy_items"] / "rows.parquet")
        (self.inputs["policy_items"] / "policies.json").write_text("{}")

    @property
    def config(self) -> ScorecardConfig:
        names = tuple(entry.called for entry in self.recipe.stages)
        return ScorecardConfig(
            seed=1, policy=POLICY, own_tasks=(), batch_size=8, most_answers=100, validation_bytes=10_000,
            model=self.recipe.model, gates=self.recipe.gates, noise={}, checkpoints=names,
            beginning=self.recipe.beginning,
        )  # fmt: skip

    def score(self, values: Mapping[str, Mapping[str, float]]) -> None:
        """Write the scorecard in which checkpoints have these values; of a share the first items are the right ones."""
        folder, work = self.inputs["scorecard"], local_context(self.root / "context").work
        tasks = tasks_of(self.inputs, self.config, work)
        found = {
            checkpoint: {
                task.name: [
                    Result(metric, item, digest, item, _value(by.get(f"{task.name}.{metric}", 0.5), how.better, at))
                    for metric, how in task.metrics.items()
                    for at, (item, digest) in zip(places(len(task.items)), task.items.items(), strict=True)
                ]
                for task in tasks
            }
            for checkpoint, by in values.items()
        }
        evidence.write_evidence(found, folder / evidence.FILE)
        scored = {self.config.checkpoints[-1]: scored_digests(self.inputs["checkpoint"])}
        if "incumbent" in self.inputs:
            scored["incumbent"] = scored_digests(self.inputs["incumbent"])
        body = assembled(
            evidence.read_evidence(folder / evidence.FILE), {task.name: asked(task) for task in tasks}, self.config,
            scored=scored, digest=sha256_file(folder / evidence.FILE), machine={},
        )  # fmt: skip
        (folder / "scorecard.json").write_text(body.to_json())

    def override(self, *overrides: Override) -> None:
        """Let people override gates, as `forge override` does."""
        for each in overrides:
            self.ledger.append("override", {"recipe": self.recipe.name, **each.model_dump(mode="json")})
        self.overrides += overrides

    def edit(self, change: Any) -> None:
        """Let `change` alter the scorecard's JSON."""
        path = self.inputs["scorecard"] / "scorecard.json"
        body = json.loads(path.read_text())
        change(body)
        path.write_text(json.dumps(body))

    def release(self) -> Path:
        out = self.root / "out"
        out.mkdir()
        if self.overrides:
            self.inputs["ledger"] = self.ledger.path
        config = ReleaseConfig(recipe=self.recipe, scoring=self.config, overrides=self.overrides, pairs=self.pairs)
        release.run(self.inputs, config, out, local_context(self.root / "context"))
        return out


def places(count: int) -> list[float]:
    """Where items stand between 0 and 1."""
    return [(number + 0.5) / count for number in range(count)]


def _value(score: float, better: str, place: float) -> float:
    """Of a share so many items are right; bits per byte of documents lie around the score."""
    return float(place < score) if better == "higher" else score + 0.01 * (place - 0.5)
