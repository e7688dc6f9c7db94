"""SFT, DPO and GRPO on a nano model: they learn, they repeat to the byte, and they refuse what cannot teach."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forge_dagster.errors import DataError
from forge_dagster.recipe import ModelSpec, TokenizerSpec
from forge_dagster.stage import local_context
from forge_dagster.stages import preference, rl, sft
from forge_dagster.training.job import TrainingJob

MODEL = ModelSpec(
    architecture="qwen3",
    hidden_size=16,
    intermediate_size=32,
    layers=1,
    heads=2,
    kv_heads=2,
    head_dim=8,
    tie_embeddings=False,
    rope_theta=10000,
)
SETTINGS = {
    "sft": {
        "answer_template": "Answer: {answer}.",
        "learning_rate": 0.01,
        "warmup_share": 0.0,
        "epochs": 2,
        "batch_size": 8,
        "max_length": 96,
    },
    "preference": {
        "learning_rate": 0.001,
        "warmup_share": 0.0,
        "epochs": 1,
        "batch_size": 8,
        "beta": 0.1,
        "sft_weight": 1.0,
        "max_length": 96,
    },
    "rl": {
        "answer_form": r"[\s\S]*[aeiou][\s\S]{0,6}",
        "learning_rate": 0.001,
        "warmup_share": 0.0,
        "steps": 2,
        "prompts": 2,
        "generations": 4,
        "max_new_tokens": 8,
        "temperature": 1.0,
        "beta": 0.02,
    },
}
MODULES = {"sft": sft, "preference": preference, "rl": rl}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tokenizer, an untrained model, forty instructions and their preferences."""
    from forge_dagster.model.build import build_model
    from forge_dagster.model.folder import write_model
    from forge_dagster.tokens import tokenizer

    root = tmp_path_factory.mktemp("inputs")
    folders = {name: root / name for name in ("corpus", "tokenizer", "previous", "instructions", "preferences")}
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
    write_model(build_model(MODEL, vocab_size=300, positions=128, seed=1), folders["tokenizer"], folders["previous"])
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
    return folders


SCRIPT = """
import json, sys
from pathlib import Path
from forge_dagster.environment import close
close()
from forge_dagster.recipe import ModelSpec
from forge_dagster.stage import local_context
from forge_dagster.training.job import TrainingJob
import importlib
name, inputs, settings, model, out = json.loads(sys.argv[1])
module = importlib.import_module("forge_dagster.stages." + name)
job = TrainingJob(seed=3, model=ModelSpec(**model), settings=module.Settings(**settings))
folder = Path(out)
(folder / "content").mkdir(parents=True)
report = module.run({k: Path(v) for k, v in inputs.items()}, job, folder / "content", local_context(folder))
assert all(finding.passed for finding in module.STAGE.check(folder / "content"))
print("REPORT" + json.dumps(dict(report.metrics)))
"""


def run_apart(name: str, inputs: dict[str, Path], out: Path) -> tuple[str, dict[str, float]]:
    """Run a stage in a process of its own; return the digest of its weights and its metrics."""
    arguments = [name, {k: str(v) for k, v in inputs.items()}, SETTINGS[name], MODEL.model_dump(), str(out)]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    files = {path.suffix for path in (out / "content").iterdir()}
    assert files <= {".json", ".safetensors"}
    metrics = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("REPORT"))[6:])
    return hashlib.sha256((out / "content" / "model.safetensors").read_bytes()).hexdigest(), metrics


@pytest.mark.system
@pytest.mark.parametrize("name", ["sft", "preference", "rl"])
def test_a_stage_repeats_to_the_byte_and_changes_the_model(name: str, inputs: dict[str, Path], tmp_path: Path):
    first, metrics = run_apart(name, inputs, tmp_path / "a")
    second, _ = run_apart(name, inputs, tmp_path / "b")
    assert first == second
    assert first != hashlib.sha256((inputs["previous"] / "model.safetensors").read_bytes()).hexdigest()
    if name == "sft":
        assert metrics["loss"] < metrics["first_loss"]
    assert (tmp_path / "a" / "beside" / "log.csv").exists()


def job(name: str, **changes: object) -> TrainingJob:
    module = MODULES[name]
    return TrainingJob(seed=3, model=MODEL, settings=module.Settings(**(SETTINGS[name] | changes)))


def test_sft_names_conversations_that_do_not_fit(inputs: dict[str, Path], tmp_path: Path):
    with pytest.raises(DataError, match="at most 16 tokens"):
        sft.run(inputs, job("sft", max_length=16), tmp_path, local_context(tmp_path / "c"))


def test_rl_refuses_rewards_that_never_differ(inputs: dict[str, Path], tmp_path: Path):
    with pytest.raises(DataError, match="rewarded alike"):
        rl.run(inputs, job("rl", answer_form="never", steps=1), tmp_path, local_context(tmp_path / "c"))


def test_rl_names_a_prompt_without_room(inputs: dict[str, Path], tmp_path: Path):
    with pytest.raises(DataError, match="leaves room"):
        rl.run(inputs, job("rl", max_new_tokens=124), tmp_path, local_context(tmp_path / "c"))
