"""Preferences of a model's own answers: pairs that differ in reward, the same after an interruption, none lost."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from forge_dagster.errors import DataError, InterruptedRun
from forge_dagster.pairs.replies import Replies
from forge_dagster.rewards import reward
from forge_dagster.stage import LocalContext, local_context

STAGE = "preference_sampled"
FORM = r"[\s\S]*[aeiou][\s\S]{0,6}"


class StoppedWhileSampling(LocalContext):
    """Is told to stop after the first batch."""

    def cancelled(self) -> bool:
        return bool(self.seen)


def test_pairs_are_of_its_own_answers_and_differ_in_reward(post, tmp_path: Path):
    _, report = post.run(STAGE, tmp_path)
    rows = pq.read_table(tmp_path / "beside" / "sampled.parquet").to_pylist()
    assert rows
    assert report.counts["prompts"] == len(rows) + report.counts["same_answer"] + report.counts["rewarded_alike"] == 24
    for row in rows:
        better, worse = (reward(row[name].strip(), answer="", form=FORM) for name in ("chosen", "rejected"))
        assert better - worse == row["margin"] >= 0.1
    assert report.metrics["reward_margin"] == pytest.approx(sum(row["margin"] for row in rows) / len(rows))
    assert report.counts["pairs"] + report.counts["too_long"] + report.counts["equal_pairs"] <= len(rows)


def test_an_interruption_while_sampling_or_training_changes_no_byte(post, digests, tmp_path: Path, monkeypatch):
    whole, _ = post.run(STAGE, tmp_path / "whole")
    folder = tmp_path / "stopped"
    plain = local_context(folder)
    with pytest.raises(InterruptedRun, match="sampling answers stopped"):
        post.run(STAGE, folder, context=StoppedWhileSampling(plain.work, plain.beside, plain.cache))
    kept = []
    of = Replies.of
    monkeypatch.setattr(Replies, "of", lambda self, digest: kept.append(of(self, digest)) or kept[-1])
    out, _ = post.run(STAGE, folder)
    assert kept[0] is not None, "what was answered is not asked again"
    assert kept[1] is None
    assert digests(out) == digests(whole)


def test_answers_that_are_rewarded_alike_are_refused_with_the_counts(post, tmp_path: Path):
    with pytest.raises(
        DataError, match=r"none of 24 prompts gives a pair: to \d+ the model says one thing, the answers"
    ):
        post.run(STAGE, tmp_path, answer_form="never")


def test_policies_have_their_share(post, tmp_path: Path):
    with pytest.raises(DataError, match="none of 4 prompts gives a pair"):  # untrained, it keeps no policy
        post.run(STAGE, tmp_path, policy_share=1.0, prompts=4)
