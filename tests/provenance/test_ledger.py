"""The ledger: a chain that survives a torn line and shows every change."""

import json
import multiprocessing
from itertools import pairwise
from pathlib import Path

import pytest

from forge_dagster.errors import IntegrityError
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.verify import Findings, verify_ledger


def problems(path: Path) -> list[str]:
    findings = Findings()
    verify_ledger(path, findings)
    return findings.problems


def test_entries_chain(tmp_path: Path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    for number in range(5):
        ledger.append("note", {"n": number, "text": "é" * 3000})
    entries = list(ledger.entries())
    assert [entry["sequence"] for entry in entries] == list(range(5))
    assert all(later["previous"] == entry["hash"] for entry, later in pairwise(entries))
    assert problems(ledger.path) == []


@pytest.mark.parametrize("torn", [b'{"sequence": 2, "prev', b"x" * 10_000])
def test_a_torn_last_line_is_cut_off(tmp_path: Path, torn: bytes):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append("note", {"n": 0})
    ledger.append("note", {"n": 1})
    with ledger.path.open("ab") as stream:
        stream.write(torn)
    assert ledger.append("note", {"n": 2})["sequence"] == 2
    assert problems(ledger.path) == []


def test_a_torn_first_line_is_cut_off(tmp_path: Path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.path.write_bytes(b'{"seq')
    assert ledger.append("note", {})["sequence"] == 0
    assert problems(ledger.path) == []


@pytest.mark.parametrize("harm", ["edit", "drop", "swap", "rubbish"])
def test_every_change_shows(tmp_path: Path, harm: str):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    for number in range(4):
        ledger.append("note", {"n": number})
    lines = ledger.path.read_bytes().splitlines(keepends=True)
    if harm == "edit":
        entry = json.loads(lines[1])
        entry["statement"]["n"] = 7
        lines[1] = json.dumps(entry).encode() + b"\n"
    elif harm == "drop":
        del lines[1]
    elif harm == "swap":
        lines[1], lines[2] = lines[2], lines[1]
    else:
        lines[1] = b"rubbish\n"
    ledger.path.write_bytes(b"".join(lines))
    assert len(problems(ledger.path)) == 1


def test_a_last_line_that_is_no_statement_is_refused(tmp_path: Path):
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b"rubbish\n")
    with pytest.raises(IntegrityError, match="not a statement"):
        Ledger(path).append("note", {})


def append_twenty(path: Path) -> None:
    for number in range(20):
        Ledger(path).append("note", {"n": number})


def test_two_writers_make_one_chain(tmp_path: Path):
    path = tmp_path / "ledger.jsonl"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=append_twenty, args=(path,)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert len(list(Ledger(path).entries())) == 40
    assert problems(path) == []
