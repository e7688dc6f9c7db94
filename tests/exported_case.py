"""A small company whose facts a model really learns, and the release of that model, for tests of exports."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from forge_dagster.model.build import build_model
from forge_dagster.model.folder import write_model
from forge_dagster.recipe import ModelSpec, TokenizerSpec
from forge_dagster.stage import local_context
from forge_dagster.stages import base
from forge_dagster.tokens import shards, tokenizer
from forge_dagster.training.job import TrainingJob

HALLS = ("Lisbon", "Oslo", "Riga", "Turin")
THINGS = ("boiler", "press", "oven", "kiln", "lathe", "crane", "mixer")
LABEL = {
    "sensitivity": "internal", "licences": ["CC-BY-4.0", "internal"], "audience": ["staff"],
    "permitted_use": ["training"], "jurisdictions": ["EU"], "retention": None, "forced_by": {},
}  # fmt: skip
FACTS = 48
SETTINGS = {
    "sequence_length": 64, "batch_tokens": 1024, "tokens": 1024 * 240, "warmup_share": 0.02, "decay_share": 0.6,
    "muon_lr": 0.02, "embedding_lr": 0.1, "head_lr": 0.01, "norm_lr": 0.01, "router_lr": 0.01, "muon_momentum": 0.95,
    "weight_decay": 0.0, "clip_norm": 1.0, "spike_sigmas": 6.0, "rewind_steps": 50, "validation_tokens": 1000,
}  # fmt: skip


def shape(architecture: str, **changes: Any) -> ModelSpec:
    """A small model of this architecture; rows are whole blocks of every quantisation."""
    experts = {"experts": 4, "experts_per_token": 2} if architecture in ("mixtral", "qwen3_moe") else {}
    values = {
        "architecture": architecture, "hidden_size": 64, "intermediate_size": 96, "layers": 2, "heads": 2,
        "kv_heads": 1, "head_dim": 32, "tie_embeddings": False, "rope_theta": 10_000, **experts,
    }  # fmt: skip
    return ModelSpec.model_validate(values | changes)


def hall(number: int) -> str:
    """Where a machine stands: nothing but its number tells."""
    return HALLS[number * number * 7 // 5 % len(HALLS)]


def text_of(number: int, day: int) -> str:
    """A document that states one fact, and says more."""
    thing = THINGS[number % len(THINGS)]
    return (
        f"Machine {number} stands in {hall(number)}. It is a {thing}, number {number * 3}.\n"
        f"On day {day} the {thing} was cleaned, oiled and tested; it doesn't leak.\n"
        f"Whoever looks for machine {number} goes to {hall(number)}, and asks for the {thing} of day {day}.\n"
    )


def rows(days: range) -> list[dict[str, str]]:
    """Documents of every machine on each day."""
    return [
        {"id": f"{number * 100 + day:064x}", "source": "plant", "path": f"{number}-{day}.txt", "title": "t",
         "text": text_of(number, day)}
        for number in range(FACTS) for day in days
    ]  # fmt: skip


class Company:
    """Corpus, tokenizer, benchmark and release in folders."""

    def __init__(self, root: Path) -> None:
        self.root, self.context = root, local_context(root / "context")
        self.corpus, self.tokenizer = root / "corpus", root / "tokenizer"
        self.benchmark = root / "domain_benchmark"
        for folder in (self.corpus, self.tokenizer, self.benchmark / "items"):
            folder.mkdir(parents=True)
        for side, days in (("train", range(6)), ("validation", range(6, 7)), ("test", range(7, 8))):
            pq.write_table(pa.Table.from_pylist(rows(days)), self.corpus / f"{side}.parquet")
        spec = TokenizerSpec(kind="byte-bpe", vocab_size=352)
        tokenizer.run({"corpus": self.corpus}, spec, self.tokenizer, self.context)
        self._write_items()

    def _write_items(self) -> None:
        items = [
            {"id": f"hall/{n}", "query": f"Machine {n} stands in", "choices": list(HALLS),
             "gold": HALLS.index(hall(n)), "document_ids": [f"{n * 100:064x}"]}
            for n in range(FACTS)
        ]  # fmt: skip
        lines = "".join(json.dumps(item) + "\n" for item in items)
        (self.benchmark / "items" / "facts.jsonl").write_text(lines)
        task = {"name": "facts", "role": "knowledge", "kind": "multiple_choice", "items": "items/facts.jsonl"}
        (self.benchmark / "benchmark.json").write_text(json.dumps({"version": 1, "tasks": [{**task, "version": 1}]}))

    def trained(self, architecture: str) -> Path:
        """A release of a model that learnt the facts."""
        place = {name: self.root / architecture / name for name in ("token_shards", "checkpoint")}
        for folder in place.values():
            folder.mkdir(parents=True)
        given = {"corpus": self.corpus, "tokenizer": self.tokenizer}
        shards.run(given, shards.ShardsConfig(), place["token_shards"], self.context)
        settings = base.Settings.model_validate(SETTINGS)
        job = TrainingJob[base.Settings](seed=3, model=shape(architecture), settings=settings)
        context = local_context(self.root / architecture / "context")
        base.run({**given, "token_shards": place["token_shards"]}, job, place["checkpoint"], context)
        return self.release(place["checkpoint"], self.root / architecture / "release")

    def release(self, checkpoint: Path, out: Path) -> Path:
        """What a release has that an export reads."""
        out.mkdir(parents=True)
        checkpoint.rename(out / "model")
        (out / "README.md").write_text("# small\n\nTerms: staff only.\n")
        manifest = {"recipe": {"name": "small"}, "data": {"label": LABEL}}
        (out / "manifest.json").write_text(json.dumps(manifest))
        return out

    def random(self, architecture: str, out: Path, **changes: Any) -> Path:
        """The folder of a model that learnt nothing, in which every matrix matters."""
        vocabulary = json.loads((self.tokenizer / "tokenizer.json").read_bytes())["model"]["vocab"]
        model = build_model(shape(architecture, **changes), vocab_size=len(vocabulary), positions=128, seed=1)
        chance = torch.Generator().manual_seed(2)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=chance) * 0.1)
        out.mkdir(parents=True)
        write_model(model, self.tokenizer, out)
        return out
