"""Ledgers that share a chain: whoever is first, one chain comes of it, and nothing that was stated is lost."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_dagster.errors import BusyError
from forge_dagster.provenance.ledger import MOST_LOST, Ledger
from forge_dagster.provenance.place import Place
from forge_dagster.provenance.verify import Findings, verify_ledger

HOMES = 3


class Chain(Place):
    """A shared chain in memory. Before a claim others may be first: `races` says which homes state something then."""

    is_shared = True

    def __init__(self, root: Path, races: list[list[int]]) -> None:
        super().__init__(root)
        self.lines: list[bytes] = []
        self.races, self.ledgers = races, [Homes(root / f"{number}.jsonl", self) for number in range(HOMES)]
        self.stated: list[tuple[int, int]] = []
        self.racing = False

    def statements(self, first: int) -> list[bytes]:
        return self.lines[first:]

    def claim(self, sequence: int, line: bytes) -> bool:
        homes = self.races.pop() if self.races and not self.racing else []
        self.racing = self.racing or bool(homes)  # none while one is under way: a home's own lock would wait for itself
        for home in homes:
            other = Homes(self.root / f"{home}.other.jsonl", self)  # another machine: the lock of a file is no help
            other.append("race", {"home": home, "at": len(self.lines)})
            self.stated.append((home, len(self.lines) - 1))
        self.racing = self.racing and not homes
        if sequence != len(self.lines):
            return False
        self.lines.append(line)
        return True


class Homes(Ledger):
    def __init__(self, path: Path, chain: Chain) -> None:
        super().__init__(path)
        self.chain = chain

    @property
    def place(self) -> Place:
        return self.chain


@settings(max_examples=40)
@given(
    st.lists(st.integers(0, HOMES - 1), max_size=8),
    st.lists(st.lists(st.integers(0, HOMES - 1), max_size=2), max_size=6),
    st.binary(max_size=40),
)
def test_however_statements_meet_one_chain_comes_of_them(order: list[int], races: list[list[int]], torn: bytes):
    with TemporaryDirectory() as folder:
        chain = Chain(Path(folder), races)
        for number, home in enumerate(order):
            ledger = chain.ledgers[home]
            if b"\n" not in torn:
                with ledger.path.open("ab") as stream:
                    stream.write(torn)  # a crash in the middle of a line
            ledger.append("note", {"home": home, "number": number})
        said = []
        for ledger in chain.ledgers:
            entries = list(ledger.entries())
            assert ledger.path.read_bytes() == b"".join(chain.lines)
            findings = Findings()
            verify_ledger(ledger.path, findings)
            assert findings.problems == []
            said = [entry["statement"] for entry in entries]
        assert [each["number"] for each in said if "number" in each] == list(range(len(order)))
        assert len(said) == len(order) + len(chain.stated)


def test_one_who_always_loses_is_told(tmp_path: Path):
    chain = Chain(tmp_path, [])
    chain.claim = lambda sequence, line: False  # type: ignore[method-assign]
    with pytest.raises(BusyError, match=f"{MOST_LOST} statements of others"):
        chain.ledgers[0].append("note", {})
