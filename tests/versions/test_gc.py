"""A collection takes what nothing needs, after a plan, and never more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_dagster.errors import IntegrityError, UserError
from forge_dagster.home import Home
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.run import Run
from forge_dagster.provenance.verify import verify
from forge_dagster.versions.fsck import fsck
from forge_dagster.versions.gc import collect, keep, plan
from forge_dagster.versions.needed import closure, kept, last_heard
from forge_dagster.versions.pointer import Version, pointer_path
from forge_dagster.versions.pull import pull
from forge_dagster.versions.push import push, standing
from forge_dagster.versions.track import track


@pytest.fixture
def old(home: Home, versions: dict[str, Version], toy, make) -> Version:
    """A version that nothing needs: made in between, of a module that was changed since."""
    between = Run(home, "between")
    found = make(between, "words", toy("module_between", "between")).record.digest
    make(Run(home, "last"), "words", "module_words_second", force=True)
    track(home)
    return ("words", found)


def names(found) -> set[Version]:
    return {(each.key, each.digest) for each in found.versions}


def test_a_release_what_it_is_made_from_and_what_is_current_stay(home: Home, versions, old: Version, store):
    found = plan(home)
    assert names(found) == {old}
    assert found.kept == len(versions)
    assert found.bytes > 0
    before = sum(path.stat().st_size for path in home.artifacts.parent.rglob("*") if path.is_file())
    collect(home, found.digest)
    after = sum(path.stat().st_size for path in home.artifacts.parent.rglob("*") if path.is_file())
    assert before - after > 0
    assert set(standing(home)) == set(versions.values())
    assert not pointer_path(store, *old).exists()
    assert verify(home.artifacts, home.ledger, list(versions.values())).problems == []
    assert fsck(home).problems == []
    assert last_heard(Ledger(home.ledger))[old] == "collected"
    assert plan(home).versions == ()


def test_the_keep_list_keeps_and_lets_go(home: Home, old: Version):
    keep(home, "keep", *old, "audit of 2026", "user:test")
    assert kept(Ledger(home.ledger)) == {old: "audit of 2026"}
    assert plan(home).versions == ()
    keep(home, "drop", *old, "audit over", "user:test")
    assert names(plan(home)) == {old}
    with pytest.raises(UserError, match="no reason"):
        keep(home, "keep", *old, " ", "user:test")


def test_what_is_kept_keeps_what_it_is_made_from(home: Home, old: Version, toy, make):
    run = Run(home, "derived")
    run.freeze({})
    run.note_output("words", {"digest": old[1]})
    derived = make(run, "derived", toy("module_derived", "d"), words="words").record.digest
    make(Run(home, "derived-2"), "derived", toy("module_derived_second", "e"), words="words")
    track(home)
    assert names(plan(home)) == {old, ("derived", derived)}
    keep(home, "keep", "derived", derived, "compared in a paper", "user:test")
    assert plan(home).versions == ()


def test_another_plan_than_was_agreed_deletes_nothing(home: Home, old: Version):
    agreed = plan(home).digest
    keep(home, "keep", *old, "needed after all", "user:test")
    with pytest.raises(UserError, match="what was looked at is what is deleted"):
        collect(home, agreed)
    assert old in standing(home)


def test_what_was_pushed_comes_back(home: Home, old: Version, remote):
    push(home, standing(home))
    found = plan(home)
    assert found.versions[0].remotes == ("backup",)
    collect(home, found.digest)
    assert pull(home, *old).state == "restored"
    assert verify(home.artifacts, home.ledger, [old]).problems == []


def test_a_broken_ledger_deletes_nothing(home: Home, old: Version):
    lines = home.ledger.read_bytes().splitlines(keepends=True)
    home.ledger.write_bytes(b"".join(lines[1:]))
    with pytest.raises(IntegrityError, match="chain is broken"):
        plan(home)


def test_a_cache_that_others_share_is_left_alone(home: Home, versions, tmp_path, toy, make):
    from forge_dagster.versions.repository import begin

    config = begin(home) / ".dvc" / "config"
    config.write_text(config.read_text().replace("[cache]\n", f"[cache]\n    dir = {tmp_path / 'shared'}\n"))
    make(Run(home, "between"), "words", toy("module_between", "between"))
    make(Run(home, "last"), "words", "module_words_second", force=True)
    track(home)
    before = sorted((tmp_path / "shared").rglob("*"))
    found = plan(home)
    assert len(found.versions) == 1
    assert found.objects == ()
    collect(home, found.digest)
    assert sorted((tmp_path / "shared").rglob("*")) == before


VERSIONS = st.integers(0, 12).map(lambda number: (f"k{number}", "0" * 64))


@given(st.dictionaries(VERSIONS, st.sets(VERSIONS)), st.sets(VERSIONS))
def test_a_closure_holds_its_roots_and_every_input_of_its_members_and_no_more(edges, roots):
    found = closure(roots, edges)
    assert roots <= found
    assert all(edges.get(version, set()) <= found for version in found)
    reached = set(roots)
    while more := {each for version in reached for each in edges.get(version, set())} - reached:
        reached |= more
    assert found == reached
