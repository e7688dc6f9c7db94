"""Every way to corrupt what a release stands on is refused, and so is what the evidence does not give."""

import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from release_case import GOOD, RECIPE, SAFETENSORS, Candidate

from forge_dagster.errors import VerdictError
from forge_dagster.evaluation.evidence import FILE
from forge_dagster.provenance.files import sha256_file
from forge_dagster.recipe import Gate


def edit_items(candidate: Candidate, change: Callable[[list[dict[str, Any]]], Any], *, sign: bool) -> None:
    """Alter the results of items; with `sign` the scorecard names the digest of the altered file."""
    path = candidate.inputs["scorecard"] / FILE
    table = pq.read_table(path)
    rows = table.to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, table.schema), path)
    if sign:
        candidate.edit(lambda body: body["evidence"].update({FILE: sha256_file(path)}))


def better(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        if (row["checkpoint"], row["task"]) == ("sft", "facts_seen"):
            row["value"] = 1.0


def fewer(rows: list[dict[str, Any]]) -> None:
    rows[:] = [row for row in rows if row["task"] != "facts_seen" or row["value"] == 1.0]


def twice(rows: list[dict[str, Any]]) -> None:
    rows += [row for row in rows if row["checkpoint"] == "sft" and row["value"] == 1.0][:5]


def others(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        if row["task"] == "facts_seen":
            row["digest"] = "0" * 64


def no_number(rows: list[dict[str, Any]]) -> None:
    rows[-1]["value"] = float("nan")


def test_another_checkpoint_under_good_scores(candidate: Candidate):
    (candidate.inputs["checkpoint"] / "model.safetensors").write_bytes(SAFETENSORS + b"other")
    with pytest.raises(VerdictError, match=r"another sft checkpoint: model\.safetensors"):
        candidate.release()


def test_another_incumbent_than_the_one_that_serves(candidate: Candidate):
    candidate.serve()
    candidate.score({"untrained": GOOD["untrained"], "incumbent": GOOD["base"], **GOOD})
    (candidate.inputs["incumbent"] / "model.safetensors").write_bytes(SAFETENSORS + b"weaker")
    with pytest.raises(VerdictError, match="another incumbent checkpoint"):
        candidate.release()


def test_a_scorecard_without_the_model_that_serves(candidate: Candidate):
    candidate.serve()
    with pytest.raises(VerdictError, match="every checkpoint in order"):
        candidate.release()


@pytest.mark.parametrize("field", ["value", "stderr", "n", "noise", "settings"])
@pytest.mark.parametrize("metric", ["facts_seen.acc", "next_sentence.acc"])
def test_an_edited_score(candidate: Candidate, field: str, metric: str):
    to = {"n": 400, "settings": "0" * 64}.get(field, 0.95)
    candidate.edit(lambda body: body["checkpoints"]["sft"][metric].update({field: to}))
    with pytest.raises(VerdictError, match=f"a score of the scorecard .* {metric} is not what its items give"):
        candidate.release()


def test_an_edited_verdict(candidate: Candidate):
    candidate.score({**GOOD, "sft": {"facts_seen.acc": 0.5, "validation.bits_per_byte": 1.5}})

    def claim(body: dict[str, Any]) -> None:
        body["passed"] = True
        body["gates"][0]["outcome"] = "passed"

    candidate.edit(claim)
    with pytest.raises(VerdictError, match=r"facts_seen\.acc is judged otherwise by the evidence"):
        candidate.release()


def test_passed_true_counts_for_nothing(candidate: Candidate):
    candidate.score({**GOOD, "sft": {"facts_seen.acc": 0.5, "validation.bits_per_byte": 1.5}})
    candidate.edit(lambda body: body.update({"passed": True}))
    with pytest.raises(VerdictError, match=r"facts_seen\.acc = 0\.5, must be at least 0\.8"):
        candidate.release()


@pytest.mark.parametrize("change", [better, fewer, twice, others, no_number])
def test_edited_results_of_items(candidate: Candidate, change: Callable[[list[dict[str, Any]]], Any]):
    edit_items(candidate, change, sign=False)
    with pytest.raises(VerdictError, match="another digest than the scorecard says"):
        candidate.release()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (better, r"facts_seen\.acc is not what its items give"),
        (fewer, "items of facts_seen have no result"),
        (twice, "an item is there twice"),
        (others, "is none that was asked"),
        (no_number, "has no score"),
    ],
)
def test_edited_results_of_items_with_their_digest(
    candidate: Candidate, change: Callable[[list[dict[str, Any]]], Any], said: str
):
    edit_items(candidate, change, sign=True)
    with pytest.raises(VerdictError, match=said):
        candidate.release()


def test_no_evidence(candidate: Candidate):
    (candidate.inputs["scorecard"] / FILE).unlink()
    with pytest.raises(VerdictError, match="another digest than the scorecard says"):
        candidate.release()


def test_a_task_that_was_not_asked(candidate: Candidate):
    candidate.write_tasks({"facts_seen": "knowledge"})
    candidate.score(GOOD)
    candidate.write_tasks({"facts_seen": "knowledge", "next_sentence": "generalisation"})
    with pytest.raises(VerdictError, match="next_sentence was not asked"):
        candidate.release()


def test_a_task_struck_from_the_scorecard(candidate: Candidate):
    candidate.edit(lambda body: body["tasks"].pop("next_sentence"))
    with pytest.raises(VerdictError, match="next_sentence was not asked"):
        candidate.release()


def test_a_task_of_its_own(candidate: Candidate):
    candidate.edit(lambda body: body["tasks"].update({"easy": body["tasks"]["facts_seen"]}))
    with pytest.raises(VerdictError, match="easy is none of those to be asked"):
        candidate.release()


def test_a_stale_scorecard(candidate: Candidate):
    candidate.write_tasks({"facts_seen": "knowledge", "next_sentence": "generalisation"}, query="A new question?")
    with pytest.raises(VerdictError, match="stale: facts_seen, next_sentence was asked of other items"):
        candidate.release()


def test_another_tokenizer(candidate: Candidate):
    (candidate.inputs["tokenizer"] / "tokenizer.json").write_text("other")
    with pytest.raises(VerdictError, match=r"tokenizer\.json of the checkpoint differ"):
        candidate.release()


def test_contaminated_items(candidate: Candidate):
    candidate.write_corpus(ids=["0", "held7"])
    with pytest.raises(VerdictError, match="1 documents of held-out benchmark items are in the training text"):
        candidate.release()


def test_gates_are_those_of_the_recipe_at_hand(candidate: Candidate):
    stricter = (RECIPE.gates[0].model_copy(update={"minimum": 0.95}), RECIPE.gates[1])
    candidate.recipe = RECIPE.model_copy(update={"gates": stricter})
    with pytest.raises(VerdictError, match=r"facts_seen\.acc is judged otherwise"):
        candidate.release()
    candidate.recipe = RECIPE.model_copy(update={"gates": (Gate(metric="next_sentence.acc", minimum=0.0),)})
    (candidate.root / "out").rmdir()
    with pytest.raises(VerdictError, match="judged otherwise"):
        candidate.release()


@pytest.mark.parametrize("names", [["untrained", "sft"], ["base", "untrained", "sft"], ["untrained", "base"]])
def test_other_checkpoints_than_the_recipe_has(candidate: Candidate, names: list[str]):
    candidate.edit(lambda body: body.update(checkpoints={name: body["checkpoints"][name] for name in names}))
    with pytest.raises(VerdictError, match="every checkpoint in order"):
        candidate.release()


@pytest.mark.parametrize(
    "text", ["", "no json", "{}", "[]", '{"checkpoints": {}}', '{"checkpoints": {"untrained": 3}}', None]
)
def test_what_is_no_scorecard(candidate: Candidate, text: str | None):
    path = candidate.inputs["scorecard"] / "scorecard.json"
    path.unlink()
    if text is not None:
        path.write_text(text)
    with pytest.raises(VerdictError, match="no release without a scorecard"):
        candidate.release()


@pytest.mark.parametrize("version", [1, 3, None])
def test_a_scorecard_of_another_version(candidate: Candidate, version: int | None):
    candidate.edit(lambda body: body.update(version=version))
    with pytest.raises(VerdictError, match="no release without a scorecard"):
        candidate.release()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "much", None])
def test_a_score_that_is_no_number(candidate: Candidate, value: Any):
    path = candidate.inputs["scorecard"] / "scorecard.json"
    body = json.loads(path.read_text())
    body["checkpoints"]["sft"]["next_sentence.acc"]["value"] = value  # gated or not
    path.write_text(json.dumps(body))
    with pytest.raises(VerdictError, match="no release without a scorecard"):
        candidate.release()
