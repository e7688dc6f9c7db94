"""Older versions: other values, named as versions, and taken for them by the split."""

from pathlib import Path

import pytest

from forge_dagster.corpus.formats import format_of, formats
from forge_dagster.corpus.signature import jaccard, shingles
from forge_dagster.corpus.versions import LEAST_ALIKE, version_of
from forge_dagster.sample.library import Written, write
from forge_dagster.sample.world import Unit


def _text(written: Written) -> str:
    parsed = formats()[str(format_of(written.path))].parse(written.data)
    return " ".join(parsed.text.split())


def versions(seed: int) -> list[tuple[Written, Written]]:
    """Each older version of a unit's documents with its newer one."""
    by_path = {written.path: written for written in write(Unit(seed, 0, 6, 12), 120, "the company")}
    return [(old, by_path[old.superseded_by]) for old in by_path.values() if old.superseded_by]


@pytest.mark.parametrize("seed", range(6))
def test_an_older_version_states_other_values_and_is_found_to_be_one(seed: int):
    found = versions(seed)
    assert len(found) == 5
    for old, new in found:
        families = [version_of(each.path) for each in (old, new)]
        assert [family and family[1] for family in families] == [(1,), (2,)]
        assert families[0][0] == families[1][0]  # type: ignore[index]
        then, now = _text(old), _text(new)
        assert jaccard(shingles(then), shingles(now)) > LEAST_ALIKE, old.path
        changed = {s.fact.id for s in new.told} - {s.fact.id for s in old.told}
        assert changed, "a version that says the same supersedes nothing"
        for statement in new.told:
            fact = statement.fact
            if fact.id not in changed:
                assert fact.answer.lower() in then.lower()
            elif fact.answer in statement.text:
                assert statement.text not in then


def test_the_sample_of_the_repository_has_them(sample):
    old = sorted((sample.folder / "documents").rglob("*-v1.*"))
    assert len(old) == 12
    assert all(Path(str(path).replace("-v1.", "-v2.")).exists() for path in old)
