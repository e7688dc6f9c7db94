"""Building an artifact: reuse, verified inputs, verdicts, conflicts, pointers, the full disk."""

import errno
import json
from pathlib import Path

import pytest

from forge_dagster.errors import IntegrityError, StorageError, UserError, VerdictError
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.run import Run


def test_same_fingerprint_is_reused_and_stated_once(home, toy, make):
    module = toy("toy_a", "hello")
    first = make(Run(home, "one"), "a", module)
    second = make(Run(home, "two"), "a", module)
    assert not first.reused
    assert second.reused
    assert second.record == first.record
    kinds = [entry["kind"] for entry in Ledger(home.ledger).entries()]
    assert kinds == ["artifact", "current"]


def test_content_beside_the_digest_does_not_change_it(home, toy, make):
    built = make(Run(home, "one"), "a", toy("toy_b", "hello"))
    assert set(built.record.files) == {"text.txt"}
    assert (built.folder / "beside" / "times.txt").exists()


def test_changed_code_makes_a_new_version_and_moves_current(home, toy, make):
    first = make(Run(home, "one"), "a", toy("toy_c", "hello"))
    second = make(Run(home, "two"), "a", toy("toy_d", "world"))
    store = Run(home, "two").store
    assert store.current("a") == second.record.digest != first.record.digest
    assert store.versions("a") == sorted([first.record.digest, second.record.digest])


def test_an_input_that_differs_from_its_record_is_refused_by_name(home, toy, make):
    upstream = make(Run(home, "one"), "a", toy("toy_e", "hello"))
    (upstream.folder / "content" / "text.txt").write_text("hellO")
    with pytest.raises(IntegrityError, match=r"text\.txt differs from its record"):
        make(Run(home, "two"), "b", toy("toy_f", "!"), previous="a")


def test_a_damaged_version_is_set_aside_and_made_again(home, toy, make):
    module = toy("toy_g", "hello")
    first = make(Run(home, "one"), "a", module)
    (first.folder / "content" / "text.txt").write_text("hellO")
    second = make(Run(home, "two"), "a", module)
    assert not second.reused
    assert second.record.digest == first.record.digest
    assert "damaged" in [entry["kind"] for entry in Ledger(home.ledger).entries()]


def test_a_missing_input_names_the_command_that_makes_it(home, toy, make):
    with pytest.raises(UserError, match="forge run --select nowhere"):
        make(Run(home, "one"), "b", toy("toy_h", "!"), previous="nowhere")


def test_a_refused_output_leaves_a_verdict_and_no_artifact(home, toy, make):
    run = Run(home, "one")
    with pytest.raises(VerdictError, match="no_x"):
        make(run, "a", toy("toy_i", "x"))
    assert run.store.versions("a") == []
    assert run.store.current("a") is None
    verdict = next((home.verdicts / "a").glob("*.json"))
    assert json.loads(verdict.read_bytes())[0]["passed"] is False
    assert not list((home.artifacts / "a").glob(".staging-*"))


def test_a_run_reads_what_was_current_at_its_launch(home, toy, make):
    make(Run(home, "one"), "a", toy("toy_j", "old"))
    slow = Run(home, "slow")
    slow.freeze({})
    make(Run(home, "other"), "a", toy("toy_k", "new"))
    built = make(slow, "b", toy("toy_l", "!"), previous="a")
    assert (built.folder / "content" / "text.txt").read_text() == "old!"


def test_a_pointer_that_another_run_moved_stays(home, toy, make):
    make(Run(home, "one"), "a", toy("toy_m", "old"))
    slow = Run(home, "slow")
    slow.freeze({})
    other = make(Run(home, "other"), "a", toy("toy_n", "new"))
    late = make(slow, "a", toy("toy_o", "late"))
    assert not late.is_current
    assert slow.store.current("a") == other.record.digest
    assert late.record.digest in slow.store.versions("a")


def test_two_contents_of_one_fingerprint_are_kept_and_flagged(home, toy, make, monkeypatch):
    module = toy("toy_p", "hello")
    first = make(Run(home, "one"), "a", module)
    import toy_p

    honest = toy_p.run

    def drifting(inputs, config, out, context):
        report = honest(inputs, config, out, context)
        (out / "text.txt").write_text("other")
        return report

    monkeypatch.setattr(toy_p, "STAGE", toy_p.STAGE.__class__(run=drifting))
    second = make(Run(home, "two"), "a", module, force=True)
    assert second.record.fingerprint == first.record.fingerprint
    assert len(Run(home, "two").store.versions("a")) == 2
    assert "conflict" in [entry["kind"] for entry in Ledger(home.ledger).entries()]


def test_what_a_crash_left_in_staging_is_swept(home, toy, make):
    left = home.artifacts / "a" / ".staging-dead" / "content"
    left.mkdir(parents=True)
    (left / "half").write_text("half")
    make(Run(home, "one"), "a", toy("toy_q", "hello"))
    assert not left.exists()


def test_a_full_disk_is_one_clear_error_and_loses_nothing(home, toy, make, monkeypatch):
    make(Run(home, "one"), "a", toy("toy_r", "hello"))
    module = toy("toy_s", "more")
    import toy_s

    def full(inputs, config, out, context):
        raise OSError(errno.ENOSPC, "No space left on device", str(out / "text.txt"))

    monkeypatch.setattr(toy_s, "STAGE", toy_s.STAGE.__class__(run=full))
    run = Run(home, "two")
    with pytest.raises(StorageError, match="free space"):
        make(run, "b", module, previous="a")
    assert run.store.versions("b") == []
    assert not list((home.artifacts / "b").glob(".staging-*"))
    assert len(run.store.versions("a")) == 1


@pytest.mark.parametrize("key", ["../a", "/etc", "a//b", "A", "", "a/../../b"])
def test_a_key_cannot_leave_the_store(home, key: str):
    with pytest.raises(UserError):
        Run(home, "one").store.folder(key)


def test_a_run_is_frozen_once(home):
    run = Run(home, "one")
    assert run.freeze({"n": 1})["n"] == 1
    assert Run(home, "one").freeze({"n": 2})["n"] == 1


def test_links_are_no_content(home, toy, make, tmp_path: Path, monkeypatch):
    module = toy("toy_t", "hello")
    import toy_t

    def linking(inputs, config, out, context):
        (out / "link").symlink_to("/etc/passwd")
        return toy_t.Report()

    monkeypatch.setattr(toy_t, "STAGE", toy_t.STAGE.__class__(run=linking))
    with pytest.raises(IntegrityError, match="link"):
        make(Run(home, "one"), "a", module)
