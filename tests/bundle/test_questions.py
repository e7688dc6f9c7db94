"""The fifteen questions of an auditor, answered from one bundle by its own verifier."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks._small_release import EPOCHS, KEY, LENGTH, document_id, small_release, text_of
from forge_dagster.bundle.verifier.checks import Checked, check
from forge_dagster.bundle.verifier.document import describe
from forge_dagster.bundle.verifier.main import main
from forge_dagster.bundle.verifier.opened import Opened
from forge_dagster.bundle.verifier.questions import answers
from forge_dagster.bundle.write import write_bundle
from forge_dagster.provenance.run import Run


@pytest.fixture(scope="module")
def second(bundled_in: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The bundle of a second release, after a step that failed and an output that was refused."""
    made = bundled_in(tmp_path_factory.mktemp("second"), documents=8)
    digest = small_release(made.home, seed=1, documents=9)
    Run(made.home, "20260101T000000-1-a").note_error("small/base_checkpoint", ValueError("a document's words"))
    refused = made.home.verdicts / KEY / f"{'9' * 64}.json"
    refused.parent.mkdir(parents=True)
    refused.write_text('[{"name": "every_gate_passes", "passed": false}]')
    made.ring.ledger.append("artifact", {"key": "corpus", "digest": "0" * 64, "fingerprint": "0" * 64,
                                         "record": "0" * 64, "actor": "agent:tuner", "forced": True})  # fmt: skip
    write_bundle(made.home, KEY, digest, made.ring, made.ring.signer("releases"), made.path)
    return made._replace(digest=digest)


@pytest.fixture
def found(second: Any) -> Checked:
    checked = check(Opened(second.path), [second.kid], [])
    assert checked.problems == []
    return checked


def answer(found: Checked, number: int) -> str:
    return answers(found)[number - 1][1]


def test_every_question_has_an_answer(found: Checked):
    assert len(answers(found)) == 15
    assert all(len(said) > 20 for _, said in answers(found))


def test_each_stage_says_how_often_it_read_which_documents(found: Checked):
    said = answer(found, 3)
    assert f"base: read 8 of 8 documents, each {EPOCHS} to {EPOCHS} times" in said
    assert f"token_shards: 8 documents, {8 * LENGTH} tokens" in said
    assert f"small/base_checkpoint: {8 * LENGTH * EPOCHS:,} tokens read" in said
    for row in found.documents:
        assert row.get("read") == ({"base_times": EPOCHS} if row.get("split") == "train" else None)


def test_a_document_is_found_by_id_path_or_bytes_and_told_whole(found: Checked, tmp_path: Path):
    given = document_id(1_000_007)
    told = describe(found, given[:10])
    assert told[0] == f"document {given}"
    assert "doc-7.txt: kept by" in told[1]
    assert "jurisdiction EU" in told[2]
    assert any("near-duplicates: plant/doc-8.txt" in line for line in told), "the last one was dropped for it"
    assert f"  in the token shards: train-00000.bin {7 * LENGTH}+{LENGTH} (first token + tokens)" in told
    assert f"  base read it {EPOCHS} times" in told
    assert any("it is in the weights of small/release" in line for line in told)
    for asked in ("plant/doc-7.txt", "doc-7.txt"):
        assert describe(found, asked) == told
    (tmp_path / "own.txt").write_bytes(b"%d" % 1_000_007)
    assert describe(found, str(tmp_path / "own.txt")) == told
    dropped = describe(found, "doc-8.txt")
    assert "dropped by document_split, superseded" in dropped[1]
    assert "  no stage used it" in dropped


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("0" * 64, "no document 0000"),
        ("nothing.txt", "no document nothing.txt was read"),
        ("", "no document  was read"),
    ],
)
def test_an_unknown_document_is_said_not_to_have_been_read(found: Checked, asked: str, said: str):
    (line,) = describe(found, asked)
    assert line.startswith(said)


def test_an_ambiguous_path_names_the_documents(found: Checked):
    for number, row in enumerate(found.documents):
        row["path"] = f"folder{number}/{'same.txt' if number < 2 else row['path']}"
    (line,) = describe(found, "same.txt")
    assert line.startswith("same.txt: 2 documents have a path that ends so: plant/folder0/same.txt, plant/folder1/")
    for row in found.documents:
        row["id"] = "abcdef" + str(row["id"])[6:]
    assert describe(found, "abcdef")[0].startswith("abcdef: 9 documents begin so: ")


def test_the_compute_is_cumulative_and_energy_has_its_method(found: Checked):
    said = answer(found, 11)
    done = 8 * LENGTH * EPOCHS * 60
    assert f"small/base_checkpoint: {done:.4g} floating-point operations (6 N), {done:.4g} up to it, 1 times" in said
    assert "energy: 8e-05 kWh over 8 of 8 steps" in said
    assert "method: RAPL, of the whole machine" in said


def test_what_changed_and_what_went_wrong_is_told_without_a_word_of_a_document(second: Any, found: Checked):
    said = answer(found, 14)
    assert "documents: 1 added, 0 removed, 7 changed, 0 the same" in said
    assert "facts.acc: 0.625 before, 0.75 now" in said
    assert "1 steps skipped, 0 rewinds" in said
    assert "1 failed steps, 1 outputs refused by a check" in said
    assert "small/base_checkpoint in run 20260101T000000-1-a: ValueError" in said
    assert "small/release@999999999999: every_gate_passes" in said
    assert not any(b"a document's words" in data for data in second.files().values())


def test_actors_hardware_and_interventions_are_told(found: Checked):
    assert "schedule:monthly_retrain (schedule) at 2026-01-01" in answer(found, 10)
    assert "artifact by force: corpus, agent:tuner" in answer(found, 10)
    assert "machine: Linux, A Processor 3, 2 threads, 8.0 GiB" in answer(found, 9)
    assert f"lock {'f' * 64}" in answer(found, 9)
    assert "small/base_checkpoint: code 0000000000000000, seed 1" in answer(found, 9)


def _verify(monkeypatch: pytest.MonkeyPatch, capsys: Any, *arguments: str) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["verify.py", *arguments])
    code = main()
    told = capsys.readouterr()
    return code, told.out, told.err


def test_an_output_is_traced_to_the_documents_it_shares_a_passage_with(second: Any, monkeypatch: Any, capsys: Any):
    text = "It said: " + " ".join(text_of(3).upper().split()[2:28]) + ", and so on."
    code, out, _ = _verify(monkeypatch, capsys, str(second.path), "--trace", text)
    assert code == 0
    assert "1 documents share some" in out
    assert f"plant/doc-3.txt {document_id(1_000_003)}" in out
    assert "a match is no cause" in out
    _, out, _ = _verify(
        monkeypatch, capsys, str(second.path), "--trace", "nothing of this was ever written in any of them"
    )
    assert "0 documents share some" in out
    _, out, _ = _verify(monkeypatch, capsys, str(second.path), "--trace", "few words")
    assert "--trace: a text of at least 8 words is looked for" in out


def test_a_bundle_without_fingerprints_says_so(bundled: Any, tmp_path: Path, monkeypatch: Any, capsys: Any):
    path, signer = tmp_path / "without.tar", bundled.ring.signer("releases")
    write_bundle(bundled.home, KEY, bundled.digest, bundled.ring, signer, path, with_matches=False)
    code, out, _ = _verify(monkeypatch, capsys, str(path), "--trace", text_of(3), "--questions")
    assert code == 0
    assert "made without fingerprints of the text: ask its holder" in out
    assert "made without fingerprints of the text. Its holder runs" in out


def test_the_text_of_no_document_is_in_a_bundle(second: Any):
    for name, data in second.files().items():
        assert b"word3x" not in data, name


def test_a_first_release_has_none_before_it(bundled: Any):
    found = check(Opened(bundled.path), [bundled.kid], [])
    assert "the release before: none, this is the first" in answer(found, 14)


def test_a_release_whose_predecessor_is_gone_says_so(bundled_in: Any, tmp_path: Path):
    made = bundled_in(tmp_path)
    before = made.home.artifacts / KEY / made.digest
    digest = small_release(made.home, seed=1)
    before.rename(tmp_path / "gone")
    write_bundle(made.home, KEY, digest, made.ring, made.ring.signer("releases"), made.path)
    found = check(Opened(made.path), [made.kid], [])
    assert found.problems == []
    assert f"the release before: {made.digest}\nit cannot be compared" in answer(found, 14)


def test_a_release_that_was_compared_and_gone_on_from_is_told_from_what_was_before_it(bundled_in: Any, tmp_path: Path):
    """Its chain holds two versions of everything; the documents of the one before were learnt too."""
    made = bundled_in(tmp_path)
    digest = small_release(made.home, seed=1, documents=9, before=made.digest)
    write_bundle(made.home, KEY, digest, made.ring, made.ring.signer("releases"), made.path)
    found = check(Opened(made.path), [made.kid], [])
    assert found.problems == []
    assert len(found.documents) == 9
    assert {row["id"] for row in found.documents} == {document_id(1_000_000 + number) for number in range(9)}
    assert "base: read 8 of 8 documents" in answer(found, 3)
    assert "5 documents more were learnt before it was gone on from" in answer(found, 3)
    assert f"small/base_checkpoint: {8 * LENGTH * EPOCHS * 60:.4g} floating-point operations" in answer(found, 11)
    told = describe(found, document_id(2))
    assert "learnt by a corpus that the weights were gone on from" in told[1]
    assert any("Merkle root over 13 trained on" in line for line in found.said)
