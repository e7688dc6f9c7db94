"""A small organisation for the stages of post-training: tokenizer, model, forty instructions and their preferences."""

import hashlib
import importlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forge_dagster.home import PROJECT
from forge_dagster.pairs import policy_items
from forge_dagster.policy import load_policy
from forge_dagster.recipe import ModelSpec, TokenizerSpec
from forge_dagster.stage import LocalContext, Report, StageContext, local_context
from forge_dagster.training.job import TrainingJob

MODEL = ModelSpec(
    architecture="qwen3", hidden_size=16, intermediate_size=32, layers=1, heads=2, kv_heads=2, head_dim=8,
    tie_embeddings=False, rope_theta=10_000.0,
)  # fmt: skip
COMMON = {"learning_rate": 0.01, "warmup_share": 0.0, "batch_size": 8, "max_length": 96}
SFT = {**COMMON, "answer_template": "Answer: {answer}.", "epochs": 2, "packing": False}
PREFERENCE = {**COMMON, "learning_rate": 0.001, "epochs": 2, "beta": 0.1, "sft_weight": 1.0}
SAMPLING = {
    "answer_form": r"[\s\S]*[aeiou][\s\S]{0,6}",
    "learning_rate": 0.001,
    "warmup_share": 0.0,
    "steps": 3,
    "prompts": 2,
    "policy_share": 0.5,
    "max_new_tokens": 8,
    "temperature": 1.0,
    "beta": 0.02,
}
RL = {**SAMPLING, "generations": 4, "stop": {"window": 2, "least_entropy": 0.0, "most_kl": 100.0}}
SETTINGS: dict[str, dict[str, Any]] = {
    "sft": SFT,
    "merge": {},
    "distill": {**SFT, "teacher": "large/sft", "temperature": 2.0, "hard_share": 0.5},
    "preference": PREFERENCE,
    "preference_offset": {**PREFERENCE, "answer_form": r"Answer: [^\n]{1,200}\.", "offset": 0.5},
    "preference_online": SAMPLING,
    "preference_sampled": {
        **PREFERENCE, "answer_form": SAMPLING["answer_form"], "prompts": 24, "policy_share": 0.0, "least_margin": 0.1,
        "sampling": {"answers": 4, "max_new_tokens": 8, "temperature": 1.0},
    },
    "kto": {**COMMON, "epochs": 1, "beta": 0.1},
    "reward_model": {**COMMON, "epochs": 2},
    "rl": RL,
    "rloo": RL,
}  # fmt: skip


LORA = {"rank": 2, "alpha": 4, "modules": ["q_proj", "v_proj", "down_proj"]}


class Stopped(LocalContext):
    """Is told to stop from a step on."""

    last = 4

    def cancelled(self) -> bool:
        return self.seen[-1][0] >= self.last


@dataclass(frozen=True)
class Post:
    """Runs one stage of post-training in a folder."""

    inputs: dict[str, Path]

    def job(self, stage: str, seed: int = 3, **changes: Any) -> TrainingJob[Any]:
        """The stage's small settings, changed."""
        settings = self.module(stage).Settings.model_validate(SETTINGS[stage] | changes)
        return TrainingJob[Any](seed=seed, model=MODEL, settings=settings)

    def module(self, stage: str) -> Any:
        return importlib.import_module(f"forge_dagster.stages.{stage}")

    def read(self, stage: str, more: dict[str, Path] | None = None) -> dict[str, Path]:
        """What the stage reads, with `more` or others."""
        given = {**self.inputs, **(more or {})}
        return {name: given[name] for name in ("tokenizer", "previous", *self.module(stage).NEEDS, *(more or {}))}

    def run(
        self,
        stage: str,
        folder: Path,
        *,
        context: StageContext | None = None,
        inputs: dict[str, Path] | None = None,
        **changes: Any,
    ) -> tuple[Path, Report]:
        """Run it; its work folder outlives an interruption in `folder`."""
        module = self.module(stage)
        out = folder / "out"
        out.mkdir(parents=True, exist_ok=True)
        context = context or local_context(folder)
        report = module.STAGE.run(self.read(stage, inputs), self.job(stage, **changes), out, context)
        assert all(finding.passed or not finding.blocking for finding in module.STAGE.check(out))
        return out, report

    def stop(self, stage: str, folder: Path, *, after: int, **options: Any) -> None:
        """Run it and interrupt it after a step."""
        plain = local_context(folder)
        context = Stopped(plain.work, plain.beside, plain.cache)
        context.last = after
        self.run(stage, folder, context=context, **options)


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


@pytest.fixture(name="digests")
def _digests() -> Any:
    return digests


@pytest.fixture(scope="session")
def lora() -> dict[str, Any]:
    return LORA


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("FORGE_THREADS", "1")
    return


@pytest.fixture(scope="session")
def post(tmp_path_factory: pytest.TempPathFactory) -> Post:
    import torch

    from forge_dagster.model.build import build_model
    from forge_dagster.model.folder import write_model
    from forge_dagster.tokens import tokenizer

    root = tmp_path_factory.mktemp("inputs")
    folders = {name: root / name for name in (
        "corpus", "tokenizer", "previous", "instructions", "preferences", "policy_items",
    )}  # fmt: skip
    for folder in folders.values():
        folder.mkdir()
    register = "Colour, weight and owner are in the register."
    texts = [
        f"The pump number {n} of hall {n % 7} has a power of {n * 3} kW and runs at night. {register}"
        for n in range(60)
    ]
    rows = [
        {"id": f"{n:064x}", "source": "s", "path": f"{n}.txt", "title": "t", "text": t} for n, t in enumerate(texts)
    ]
    for side in ("train", "validation", "test"):
        pq.write_table(pa.Table.from_pylist(rows), folders["corpus"] / f"{side}.parquet")
    spec = TokenizerSpec(kind="byte-bpe", vocab_size=300)
    tokenizer.run({"corpus": folders["corpus"]}, spec, folders["tokenizer"], local_context(root / "context"))
    model = build_model(MODEL, vocab_size=300, positions=128, seed=1)
    torch.manual_seed(0)
    with torch.no_grad():  # a model fresh from the start is the identity: no layer of it could be seen to matter
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    write_model(model, folders["tokenizer"], folders["previous"])
    instructions = [
        {
            "question": f"What power has pump {n}?",
            "answer": f"{n * 3} kW",
            "rule": "faq",
            "document_ids": [f"{n:064x}"],
            "split": "held_out" if n % 10 == 0 else "train",
        }
        for n in range(40)
    ]
    pairs = [
        {
            "prompt": row["question"],
            "chosen": f"Answer: {row['answer']}.",
            "rejected": row["answer"],
            "rule": "form",
            "document_ids": row["document_ids"],
        }
        for row in instructions
    ]
    pq.write_table(pa.Table.from_pylist(instructions), folders["instructions"] / "rows.parquet")
    pq.write_table(pa.Table.from_pylist(pairs), folders["preferences"] / "rows.parquet")
    write_policy_items(folders["policy_items"], instructions)
    return Post(folders)


def write_policy_items(folder: Path, rows: list[dict[str, Any]]) -> None:
    """The house's term of each answer, and the one that is never said."""
    policy = load_policy(PROJECT / "policies" / "house-terms.yaml")
    items = [
        {"policy": policy.name, "prompt": row["question"],
         "case": json.dumps({"answer": f"Answer: {row['answer']}.", "never": ["kilowatts"]}),
         "keeps": f"Answer: {row['answer']}.", "breaks": [f"Answer: {row['answer']} kilowatts."],
         "document_ids": row["document_ids"], "split": row["split"], "group": row["question"]}
        for row in rows
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(items, policy_items.ROWS), folder / "rows.parquet")
    (folder / "policies.json").write_text(json.dumps({policy.name: policy.model_dump(mode="json")}))
