"""A scorecard in Dagster's metadata: a table of scores, whatever has no error, and one of gates."""

from pathlib import Path

from release_case import Candidate

from resources.presentation import _scores


def test_scores_and_gates_are_tables(candidate: Candidate, tmp_path: Path):
    (tmp_path / "version").mkdir()
    (tmp_path / "version" / "content").symlink_to(candidate.inputs["scorecard"])
    candidate.edit(lambda body: body["checkpoints"]["sft"]["next_sentence.acc"].update(stderr=None, noise=0.02))
    tables = _scores(tmp_path / "version")
    scores = {record.data["metric"]: record.data for record in tables["scores"].records}
    assert scores["facts_seen.acc"] == {
        "metric": "facts_seen.acc", "untrained": 0.25, "base": 0.85, "sft": 0.9,
        "standard error": "0.0480", "noise": "-", "items": 40,
    }  # fmt: skip
    assert [scores["next_sentence.acc"][name] for name in ("standard error", "noise")] == ["-", "0.0200"]
    assert [record.data["outcome"] for record in tables["gates"].records] == ["passed"] * 3
