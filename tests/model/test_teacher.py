"""Open weights of others teach a student that speaks in their tokens."""

import csv
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forge_dagster.model import weights
from forge_dagster.model.build import build_model
from forge_dagster.model.folder import load_model, write_model
from forge_dagster.model.weights_config import WeightsConfig
from forge_dagster.recipe import InheritedTokenizerSpec, ModelSpec
from forge_dagster.stage import local_context
from forge_dagster.stages import distill
from forge_dagster.tokens import inherited
from forge_dagster.training.job import TrainingJob

SMALL = ModelSpec(
    architecture="qwen3", hidden_size=16, intermediate_size=32, layers=1, heads=2, kv_heads=2, head_dim=8,
    tie_embeddings=False, rope_theta=10_000.0,
)  # fmt: skip
SETTINGS = {
    "teacher": "external/published", "temperature": 2.0, "hard_share": 0.0, "answer_template": "Answer: {answer}.",
    "learning_rate": 0.01, "warmup_share": 0.0, "epochs": 8, "batch_size": 8, "max_length": 160, "packing": False,
}  # fmt: skip


@pytest.mark.parametrize("published_as", ["published", "published_gguf"])
@pytest.mark.parametrize("domain_tokens", [0, 3])
def test_a_student_learns_from_open_weights(
    published_as: str, domain_tokens: int, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch
):
    monkeypatch.setenv("FORGE_THREADS", "1")
    names = ("weights", "corpus", "tokenizer", "previous", "instructions", "out")
    folders = {name: tmp_path / name for name in names}
    for folder in folders.values():
        folder.mkdir()
    context = local_context(tmp_path / "context")
    stated = WeightsConfig(origin="a test", licence="MIT")
    weights.run({"weights": request.getfixturevalue(published_as)}, stated, folders["weights"], context)
    texts = [{"source": "s", "text": f"The other pump of hall {n} hums in the other winter."} for n in range(20)]
    pq.write_table(pa.Table.from_pylist(texts), folders["corpus"] / "train.parquet")
    spec = InheritedTokenizerSpec(kind="inherited", domain_tokens=domain_tokens)
    inherited.run({k: folders[k] for k in ("weights", "corpus")}, spec, folders["tokenizer"], context)
    teacher = load_model(folders["weights"])
    rows = [{"question": f"Which pump is {n}?", "answer": f"pump {n * 7}", "split": "train"} for n in range(16)]
    pq.write_table(pa.Table.from_pylist(rows), folders["instructions"] / "rows.parquet")
    size = inherited.load_encoder(folders["tokenizer"]).get_vocab_size()
    write_model(build_model(SMALL, vocab_size=size, positions=256, seed=1), folders["tokenizer"], folders["previous"])

    job = TrainingJob[Any](seed=1, model=None, settings=distill.Settings.model_validate(SETTINGS))
    inputs = {name: folders[name] for name in ("tokenizer", "previous", "instructions")}
    report = distill.run({**inputs, "teacher": folders["weights"]}, job, folders["out"], context)
    assert all(finding.passed for finding in distill.STAGE.check(folders["out"]))
    added = size - teacher.config.vocab_size
    assert report.counts["teacher_parameters"] == teacher.num_parameters() + added * teacher.config.hidden_size
    with (context.beside / "log.csv").open() as stream:
        distance = [float(row["kl"]) for row in csv.DictReader(stream)]
    assert distance[-1] < distance[0] / 2
