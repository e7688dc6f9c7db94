"""Studies over a tiny real model: what is killed goes on, what is ended early costs less, what is found is a recipe."""

import json
import multiprocessing
import os
import signal
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq
import pytest

from forge_dagster.errors import DataError, IntegrityError, UserError
from forge_dagster.provenance.files import content_digest, list_files
from forge_dagster.recipe import load_recipe
from forge_dagster.search import crew, found, trials
from forge_dagster.search.space import ends_of, job_of
from forge_dagster.search.trial import Piece, train


def digest(folder: Any) -> str:
    """One digest of all files."""
    return content_digest(list_files(folder))


def test_a_study_proposes_a_recipe_with_evidence(laboratory: Any):
    study = laboratory.study(trials=6)
    out, report = laboratory.run("whole", study)
    body, proposal = found.read(out)
    assert report.counts["trials"] == 6 == sum(report.counts[state] for state in ("complete", "pruned", "diverged"))
    complete = [trial.value for trial in body.trials if trial.state == "complete"]
    assert body.trials[body.best].value == report.metrics["best"] == min(complete)
    assert body.own == 0
    assert body.trials[0].point == {"base.muon_lr": 0.02}
    assert load_recipe(out / "tiny.yaml") == proposal
    changed = dict(proposal.stages[0].settings)
    assert changed.pop("muon_lr") == body.proposal["base.muon_lr"]
    assert changed.items() <= laboratory.recipe.stages[0].settings.items()
    assert set(body.importance) == {"base.muon_lr"}
    rows = pq.read_table(out / "trials.parquet").to_pylist()
    assert [row["setting/base.muon_lr"] for row in rows] == [trial.point["base.muon_lr"] for trial in body.trials]
    assert {path.name for path in laboratory.context("whole").beside.iterdir()} == {"best_so_far.png", "importance.png"}
    assert not list((laboratory.context("whole").work / "trials").glob("*/work"))  # no weights are left


def test_what_ends_early_costs_less_and_budgets_are_kept(laboratory: Any):
    out, _ = laboratory.run("eager", laboratory.study(sampler="random"))
    body, _ = found.read(out)
    ended = [trial for trial in body.trials if trial.state == "pruned"]
    assert ended
    assert all(trial.tokens < 128 * 12 and trial.operations < body.most_operations for trial in ended)
    whole = [trial.operations for trial in body.trials if trial.state == "complete"]
    assert all(trial.operations < min(whole) for trial in ended)
    budget = int(body.most_operations * 3.5)
    cut, report = laboratory.run("cut", laboratory.study(operations=budget, pruner="none"))
    assert report.counts["trials"] == 3
    assert found.read(cut)[0].operations <= budget
    with pytest.raises(UserError, match="one trial may take"):
        laboratory.run("none", laboratory.study(operations=1000))


class Killed(Exception):
    """In place of a signal that nobody hears."""


def test_a_killed_study_goes_on_and_ends_as_an_undisturbed_one(laboratory: Any, monkeypatch: pytest.MonkeyPatch):
    study, here = laboratory.study(trials=4, pieces=2), trials.Crew
    here.trained = 0
    undisturbed, _ = laboratory.run("undisturbed", study)
    pieces, context = here.trained, laboratory.context("killed")
    answers = context.work / "answers"
    stops = [1, 4]  # in the middle of a batch, and at the end of one

    def die(done: int, total: int, text: str = "") -> None:
        if stops and here.trained == stops[0]:
            stops.pop(0)
            raise Killed

    here.trained = 0
    monkeypatch.setattr(context, "progress", die)
    for _ in range(2):
        with pytest.raises(Killed):
            laboratory.run("killed", study)
    again, _ = laboratory.run("killed", study)
    assert digest(again) == digest(undisturbed)
    assert here.trained == pieces
    first = min(answers.glob("*"))
    first.write_text(first.read_text().replace('"base.muon_lr": 0.02', '"base.muon_lr": 0.03'))
    with pytest.raises(IntegrityError, match="to begin anew"):
        laboratory.run("killed", study)


def test_processes_give_the_same_bytes_and_one_that_is_killed_is_replaced(
    laboratory: Any, monkeypatch: pytest.MonkeyPatch
):
    study = laboratory.study(trials=2, pieces=2)
    alone, _ = laboratory.run("alone", study)
    monkeypatch.setattr(trials, "Crew", crew.Crew)
    monkeypatch.setenv("FORGE_THREADS", "2")
    context, killed = laboratory.context("together"), list[int]()
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as its processes inherit it where something ignores it

    def kill(done: int, total: int, text: str = "") -> None:
        if not killed:
            killed.append(multiprocessing.active_children()[0].pid or 0)
            os.kill(killed[0], signal.SIGKILL)

    monkeypatch.setattr(context, "progress", kill)
    try:
        together, _ = laboratory.run("together", study)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert killed
    assert digest(together) == digest(alone)
    assert not multiprocessing.active_children()


def test_a_piece_that_is_trained_is_measured_again_and_not_trained(laboratory: Any, monkeypatch: pytest.MonkeyPatch):
    job = job_of(laboratory.study(), laboratory.recipe, {"base.muon_lr": 0.02})
    piece = Piece(
        folder=laboratory.root / "one", inputs=laboratory.inputs, job=job, metric="loss", until=ends_of(job.settings)[0]
    )
    first = train(piece)
    assert first is not None
    assert first.tokens == 4 * 128
    monkeypatch.setattr("forge_dagster.search.trial.base.STAGE", None)
    assert train(piece) == first
    with pytest.raises(AttributeError):
        train(piece.model_copy(update={"until": ends_of(job.settings)[1]}))


def test_a_training_that_runs_away_is_an_outcome(laboratory: Any):
    space = {"base.head_lr": {"choices": [0.02, 1e38]}}
    out, report = laboratory.run("some", laboratory.study(space=space, trials=4, sampler="random"))
    body, _ = found.read(out)
    assert report.counts["diverged"] >= 1
    assert {trial.state for trial in body.trials if trial.point["base.head_lr"] == 1e38} == {"diverged"}
    assert body.proposal == {"base.head_lr": 0.02}
    space = {"base.head_lr": {"choices": [1e37, 1e38]}}
    with pytest.raises(DataError, match="none of 2 trials came to its end"):
        laboratory.run("all", laboratory.study(space=space, trials=2, pieces=1))


def test_a_source_without_held_out_documents_is_no_metric(laboratory: Any):
    with pytest.raises(DataError, match="source t has no validation documents"):
        laboratory.run("t", laboratory.study(metric="validation_bits_per_byte/t"))


def test_a_study_that_was_changed_is_refused(laboratory: Any):
    out, _ = laboratory.run("changed", laboratory.study(trials=1))

    def failed(change: Callable[[dict[str, Any]], None]) -> set[str]:
        before = (out / found.FILE).read_text()
        body = json.loads(before)
        change(body)
        (out / found.FILE).write_text(json.dumps(body))
        findings = trials.check(out)
        (out / found.FILE).write_text(before)
        return {finding.name for finding in findings if not finding.passed}

    assert failed(lambda body: body["trials"].append(body["trials"][0])) == {"trials_are_counted_once"}
    assert failed(lambda body: body["study"].update(operations=1)) == {"the_budget_is_kept"}
    assert failed(lambda body: body["recipe"].update(seed=99)) == {"only_searched_settings_differ"}
