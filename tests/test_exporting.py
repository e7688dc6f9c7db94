"""The stage on a model that learnt its facts: good exports pass, one that loses or computes otherwise is refused."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported_case import FACTS, LABEL, Company
from gguf import GGUFWriter

from forge_dagster.errors import InterruptedRun, UserError
from forge_dagster.evaluation import held_out
from forge_dagster.evaluation.by_runner import answered, questions
from forge_dagster.evaluation.card import read_card
from forge_dagster.evaluation.choices import choice_task
from forge_dagster.evaluation.held_out import first_documents, text_task
from forge_dagster.evaluation.measure import Subject
from forge_dagster.evaluation.scorecard import data_in
from forge_dagster.export import ExportPolicy
from forge_dagster.exporting import CHECK_NAMES, STAGE, ExportConfig
from forge_dagster.exports import gguf
from forge_dagster.model.runner import Transformers
from forge_dagster.stage import LocalContext, Report, local_context

BYTES = 3000


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Company:
    return Company(tmp_path_factory.mktemp("exporting"))


@pytest.fixture(scope="module")
def inputs(company: Company) -> Mapping[str, Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORGE_THREADS", "1")
        release = company.trained("mistral")
    return {"release": release, "corpus": company.corpus, "domain_benchmark": company.benchmark}


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORGE_THREADS", "1")


def config(kind: str, precision: str, max_bits: float = 0.01, most_bytes: int = BYTES) -> ExportConfig:
    """With 48 items, even an export that answers every item alike leaves a doubt of 4.1 points."""
    policy = ExportPolicy(name="small", max_loss=0.06, max_bits=max_bits, validation_bytes=most_bytes)
    return ExportConfig(kind=kind, precision=precision, policy=policy)


def export(inputs: Mapping[str, Path], folder: Path, wanted: ExportConfig) -> tuple[Path, Report, dict[str, Any]]:
    """Run the stage; content, report, and observed by the name of each finding that failed."""
    out, context = folder / "out", local_context(folder)
    out.mkdir()
    report = STAGE.run(inputs, wanted, out, context)
    findings = STAGE.check(out) if STAGE.check else []
    assert tuple(finding.name for finding in findings) == CHECK_NAMES
    return out, report, {each.name: each.observed for each in findings if not each.passed}


@pytest.mark.parametrize(("kind", "precision"), [("ct2", "int8")])
def test_a_good_export_passes(inputs: Mapping[str, Path], tmp_path: Path, kind: str, precision: str):
    out, report, failed = export(inputs, tmp_path, config(kind, precision))
    assert failed == {}
    body, told = read_card(out), json.loads((out / "export.json").read_bytes())
    assert body.checkpoints["release"]["domain.acc"].value > 0.9, "the model learnt its facts"
    assert body.checkpoints["release"]["domain.acc"].n == FACTS
    assert [verdict.outcome for verdict in body.gates] == ["passed", "passed"]
    assert told["label"] == LABEL
    assert told["agreement"]["greedy_same"] > 0.4 * told["agreement"]["greedy_tokens"] > 40
    assert told["bytes"] == report.counts["bytes"] < (inputs["release"] / "model" / "model.safetensors").stat().st_size
    assert (out / "README.md").read_text() == (inputs["release"] / "README.md").read_text()
    speed = json.loads((tmp_path / "beside" / "speed.json").read_bytes())
    assert min(speed["tokens_per_second"].values()) > 0


def test_eight_bits_pass_where_four_lose_too_much_and_are_refused_with_figures(
    inputs: Mapping[str, Path], tmp_path: Path
):
    for folder, precision in (("eight", "q8_0"), ("four", "q4_0")):
        (tmp_path / folder).mkdir()
        out, _, failed = export(inputs, tmp_path / folder, config("gguf", precision, max_bits=0.001))
        assert set(failed) == ({CHECK_NAMES[2]} if precision == "q4_0" else set())
    (lost,) = failed[CHECK_NAMES[2]]["lost"]
    verdict = next(each for each in read_card(out).gates if each.outcome == "failed")
    assert verdict.metric == "validation.bits_per_byte"
    assert verdict.paired is not None
    assert verdict.paired.low is not None
    assert verdict.paired.low < -0.001
    assert f"better than release by {verdict.paired.difference:+.4f} ({verdict.paired.low:+.4f} to" in lost
    assert "may be worse by 0.001" in lost
    assert failed[CHECK_NAMES[2]]["scores"]["export"]["domain.acc"]["value"] > 0.9


def test_weights_in_the_wrong_order_are_no_export(
    inputs: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(gguf, "_interleaved", lambda values, heads: values)
    _, _, failed = export(inputs, tmp_path, config("gguf", "f16", most_bytes=1))
    assert CHECK_NAMES[1] in failed
    assert failed[CHECK_NAMES[1]]["mean_nats"] > failed[CHECK_NAMES[1]]["tolerance"]


def test_a_tokenizer_that_reads_otherwise_is_no_export(
    inputs: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    whole = GGUFWriter.add_token_merges
    monkeypatch.setattr(GGUFWriter, "add_token_merges", lambda writer, merges: whole(writer, merges[:10]))
    _, _, failed = export(inputs, tmp_path, config("gguf", "f16", most_bytes=1))
    assert CHECK_NAMES[0] in failed
    assert failed[CHECK_NAMES[0]]["otherwise"]


def test_the_original_has_the_scores_of_its_scorecard(
    company: Company, inputs: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """By lm-eval's choices and the loop's bits per byte: another way of asking would compare something else."""
    data_in(tmp_path / "datasets")
    original = Transformers(inputs["release"] / "model")
    documents = first_documents(company.corpus / "validation.parquet", BYTES)
    asked = questions(company.benchmark, documents, original.encoder, 64)
    found, _ = answered(original, asked, lambda done: None)
    from transformers import AutoTokenizer

    folder = inputs["release"] / "model"
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    subject = Subject(model=original.model, tokenizer=tokenizer, folder=folder)
    facts = choice_task("facts", company.benchmark / "items" / "facts.jsonl", 1, 8)
    assert facts.evaluate(subject) == found["facts"]
    monkeypatch.setattr(held_out, "effective_dtype", lambda: "float32")  # as the original is asked, on any processor
    told = text_task("validation", documents).evaluate(subject)
    ours = [result.value for result in found["validation"]]
    assert ours == pytest.approx([result.value for result in told], rel=1e-3)
    assert [result._replace(value=0) for result in told] == [result._replace(value=0) for result in found["validation"]]


def test_a_number_that_is_none_is_no_score(company: Company, inputs: Mapping[str, Path]):
    original = Transformers(inputs["release"] / "model")
    asked = questions(company.benchmark, first_documents(company.corpus / "validation.parquet", 1),
                      original.encoder, 64)  # fmt: skip
    original.log_probabilities = lambda rows: [np.full(1, math.nan) for _ in rows]  # type: ignore[method-assign]
    with pytest.raises(Exception, match="log p is not a number"):
        answered(original, asked, lambda done: None)


def test_without_a_release_nothing_is_made(company: Company, tmp_path: Path):
    with pytest.raises(UserError, match="no release serves"):
        STAGE.run({"corpus": company.corpus}, config("gguf", "f16"), tmp_path, local_context(tmp_path / "context"))


def test_it_stops_when_it_is_told_to(inputs: Mapping[str, Path], tmp_path: Path):
    class Stopped(LocalContext):
        def cancelled(self) -> bool:
            return True

    plain = local_context(tmp_path)
    (tmp_path / "out").mkdir()
    with pytest.raises(InterruptedRun):
        STAGE.run(inputs, config("gguf", "q8_0"), tmp_path / "out", Stopped(plain.work, plain.beside, plain.cache))
