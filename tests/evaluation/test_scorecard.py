"""The scorecard: log-likelihoods as torch gives them, the same at every batch size, and nothing that is no number."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from forge_dagster.errors import InterruptedRun, VerdictError
from forge_dagster.evaluation import evidence, scorecard
from forge_dagster.evaluation.harness import _language_model, evaluate, multiple_choice
from forge_dagster.evaluation.scorecard import ScorecardConfig
from forge_dagster.model.folder import load_model
from forge_dagster.recipe import Gate
from forge_dagster.stage import LocalContext, local_context
from forge_dagster.tokens.control import END_OF_TEXT_ID
from forge_dagster.tokens.encoding import load_encoder

Make = Callable[..., ScorecardConfig]


@pytest.fixture(scope="module")
def scored(artifacts: dict[str, Path], config_of: Make, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(content, what lies beside it) of one run."""
    folder = tmp_path_factory.mktemp("scorecard")
    (folder / "out").mkdir()
    gates = (Gate(metric="validation.bits_per_byte", maximum=100.0), Gate(metric="answers.form", minimum=0.9))
    scorecard.run(artifacts, config_of(gates=gates), folder / "out", local_context(folder))
    return folder / "out", folder / "beside"


def read(content: Path) -> dict[str, Any]:
    return json.loads((content / "scorecard.json").read_text())


def test_every_checkpoint_has_every_metric(scored: tuple[Path, Path]):
    body = read(scored[0])
    assert list(body["checkpoints"]) == ["untrained", "base"]
    tasks = {"facts_seen.acc", "facts_unseen.acc", "cloze.acc", "next_sentence.acc"}
    for scores in body["checkpoints"].values():
        assert set(scores) == tasks | {
            "answers.form", "answers.correct", "policy_audience.kept", "policy.kept", "validation.bits_per_byte",
                "verbatim.words", "verbatim.most_words", "contamination.flagged", "contamination.overlap",
        }  # fmt: skip
        assert all(math.isfinite(score["value"]) and score["n"] > 0 for score in scores.values())
        assert all(scores[task]["stderr"] is not None for task in tasks)
    assert body["checkpoints"]["base"]["facts_seen.acc"]["n"] == 24
    assert body["checkpoints"]["base"]["answers.form"]["n"] == 5
    kept = body["checkpoints"]["base"]["policy_audience.kept"]
    assert (kept["value"], kept["stderr"], kept["n"], kept["noise"]) == (0.0, 0.0, 6, None)
    assert body["checkpoints"]["base"]["policy.kept"] == {
        **kept,
        "settings": body["tasks"]["policy"]["settings_digest"],
    }
    assert set(body["tasks"]) == {
        "facts_seen", "facts_unseen", "cloze", "next_sentence", "answers", "policy_audience", "policy", "validation",
        "verbatim", "contamination",
    }  # fmt: skip
    for name, score in body["checkpoints"]["base"].items():
        assert score["settings"] == body["tasks"][name.split(".")[0]]["settings_digest"]


def test_gates_are_judged_and_do_not_block_the_scorecard(scored: tuple[Path, Path]):
    body = read(scored[0])
    assert [gate["outcome"] for gate in body["gates"]] == ["passed", "failed"]
    assert body["passed"] is False
    found = {finding.name: finding for finding in scorecard.check(scored[0])}
    assert found["every_checkpoint_is_measured"].passed
    assert not found["gates_pass"].passed
    assert not found["gates_pass"].blocking


def test_the_plot_is_small(scored: tuple[Path, Path]):
    assert 2_000 < (scored[1] / "scores.png").stat().st_size < 60_000


def test_no_path_of_this_machine_is_in_the_content(scored: tuple[Path, Path], artifacts: dict[str, Path]):
    assert str(artifacts["tokenizer"].parent) not in (scored[0] / "scorecard.json").read_text()


@pytest.mark.parametrize("batch_size", [1, 8])
def test_log_likelihoods_are_those_of_torch(artifacts: dict[str, Path], batch_size: int):
    from lm_eval.api.instance import Instance

    model = load_model(artifacts["checkpoint/base"])
    tokenizer = AutoTokenizer.from_pretrained(artifacts["tokenizer"])
    lines = (artifacts["domain_benchmark"] / "items/facts_seen.jsonl").read_text().splitlines()[:5]
    pairs = [(item["query"], f" {choice}") for item in map(json.loads, lines) for choice in item["choices"]]
    pairs.append(("A text that says <|user|> is", " text <|end|>"))
    requests = [
        Instance(request_type="loglikelihood", doc={}, arguments=pair, idx=number) for number, pair in enumerate(pairs)
    ]
    found = _language_model(model, tokenizer, batch_size).loglikelihood(requests, disable_tqdm=True)
    encoder = load_encoder(artifacts["tokenizer"])
    for (query, choice), (value, _) in zip(pairs, found, strict=True):
        ids = [END_OF_TEXT_ID, *encoder.encode(query + choice).ids]
        start = 1 + len(encoder.encode(query).ids)
        with torch.no_grad():
            chances = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        expected = sum(float(chances[place - 1, ids[place]]) for place in range(start, len(ids)))
        assert value == pytest.approx(expected, abs=1e-4)


def test_accuracy_does_not_depend_on_the_batch_size(artifacts: dict[str, Path]):
    model = load_model(artifacts["checkpoint/base"])
    tokenizer = AutoTokenizer.from_pretrained(artifacts["tokenizer"])
    items = artifacts["domain_benchmark"] / "items/next_sentence.jsonl"
    one, eight = (
        evaluate(model, tokenizer, multiple_choice("next_sentence", items, 1), batch_size=size) for size in (1, 8)
    )
    assert one == eight


def test_a_model_that_computes_no_numbers_is_refused(artifacts: dict[str, Path]):
    model = load_model(artifacts["checkpoint/base"])
    model.model.layers[0].mlp.down_proj.weight.data[0, 0] = float("nan")
    tokenizer = AutoTokenizer.from_pretrained(artifacts["tokenizer"])
    items = artifacts["domain_benchmark"] / "items/next_sentence.jsonl"
    with pytest.raises(VerdictError, match="not all numbers"):
        evaluate(model, tokenizer, multiple_choice("next_sentence", items, 1), batch_size=8)


def test_a_signal_stops_between_checkpoints(artifacts: dict[str, Path], config_of: Make, tmp_path: Path):
    class Cancelled(LocalContext):
        def cancelled(self) -> bool:
            return True

    context = local_context(tmp_path)
    with pytest.raises(InterruptedRun):
        scorecard.run(
            artifacts,
            config_of(),
            tmp_path,
            Cancelled(**{name: getattr(context, name) for name in ("work", "beside", "cache")}),
        )


def test_check_finds_a_missing_score(scored: tuple[Path, Path], tmp_path: Path):
    body = read(scored[0])
    del body["checkpoints"]["base"]["facts_seen.acc"]
    (tmp_path / "scorecard.json").write_text(json.dumps(body))
    assert not scorecard.check(tmp_path)[0].passed


def test_every_score_follows_from_the_evidence(scored: tuple[Path, Path]):
    body = read(scored[0])
    found = evidence.read_evidence(scored[0] / evidence.FILE)
    for checkpoint, scores in body["checkpoints"].items():
        assert set(found[checkpoint]) == set(scores)
        for metric, score in scores.items():
            results = found[checkpoint][metric]
            total = sum(result.value * result.weight for result in results)
            assert total / sum(result.weight for result in results) == pytest.approx(score["value"])
            assert len(results) == score["n"]
