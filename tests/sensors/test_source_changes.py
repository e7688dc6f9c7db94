"""The sensor asks once for each content, by content, when it is quiet; a disk that seems lost waits for a person."""

import os
import shutil

import dagster as dg
import pytest
from watched_source import QUIET, Watched

from forge_dagster.corpus.standing import accept, held, standing
from forge_dagster.declared import load_declared
from forge_dagster.errors import SourceError
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.store import ArtifactStore


def test_what_stands_is_not_asked_for(watched: Watched):
    assert watched.settle() == []
    assert watched.said == "no source moved"
    watched.cursor = None
    assert watched.settle() == []


def test_a_change_is_seen_at_once_and_asked_for_when_it_is_quiet(watched: Watched):
    watched.wait(7200)
    watched.tick()
    (watched.folder / "0.txt").write_text("two")
    assert watched.tick() == []
    assert "docs moved" in watched.said
    watched.wait()
    assert len(watched.tick()) == 1


def test_the_same_state_gives_the_same_answer(watched: Watched):
    (watched.folder / "0.txt").write_text("two")
    watched.tick()
    watched.wait(3600)
    before = watched.cursor
    (run,) = watched.tick(keeps_cursor=False)
    assert watched.cursor == before
    watched.instance.delete_run(run.run_id)
    (again,) = watched.tick(keeps_cursor=False)
    assert again.tags == run.tags


def test_a_file_that_was_touched_or_written_again_starts_nothing(watched: Watched):
    os.utime(watched.folder / "0.txt", ns=(1, 1))
    assert watched.settle() == []
    (watched.folder / "0.txt").write_text("document 0")
    assert watched.settle() == []


def test_a_burst_of_edits_makes_one_run(watched: Watched):
    watched.wait(7200)
    watched.tick()
    started = []
    for number in range(5):
        (watched.folder / "0.txt").write_text(f"edit {number}")
        started += watched.tick()
        watched.wait(QUIET / 2)
    assert started == []
    watched.wait(QUIET)
    assert len(watched.tick()) == 1


def test_a_source_that_is_never_quiet_is_read_all_the_same(watched: Watched):
    watched.wait(7200)
    started = []
    for number in range(45):
        (watched.folder / "0.txt").write_text(f"edit {number}")
        started += watched.tick()
        watched.wait(QUIET / 2)
    assert len(started) == 1


def test_a_source_that_flaps_waits_longer_each_time(watched: Watched):
    watched.wait(7200)
    started = []
    for number in range(120):  # an hour
        (watched.folder / "0.txt").write_text("one" if number // 4 % 2 else "two")
        for run in watched.tick():
            started.append(run)
            watched.finish(run)
        watched.wait(QUIET)
    assert 1 < len(started) <= 6
    assert len(watched.built) <= 3, "the two states, and the one before"


def test_a_deleted_run_is_not_started_twice(watched: Watched):
    (watched.folder / "0.txt").write_text("two")
    (run,) = watched.settle()
    watched.finish(run)
    watched.instance.delete_run(run.run_id)
    assert watched.settle() == []
    watched.cursor = None
    assert watched.settle() == []


def test_a_run_that_failed_is_said_and_not_started_again(watched: Watched):
    (watched.folder / "0.txt").write_text("two")
    (run,) = watched.settle()
    watched.finish(run, crashes=True)
    watched.instance.delete_run(run.run_id)
    assert watched.settle() == []
    assert "its run did not make it" in watched.said
    assert watched.settle() == []
    assert "its run did not make it" in watched.said


def test_what_changes_back_while_it_is_read_is_read_again(watched: Watched):
    (watched.folder / "0.txt").write_text("two")
    (run,) = watched.settle()
    made = watched.finish(run)
    (watched.folder / "0.txt").write_text("document 0")
    (back,) = watched.settle()
    assert watched.finish(back).reused
    (watched.folder / "0.txt").write_text("two")
    (again,) = watched.settle()
    assert watched.finish(again).record.digest == made.record.digest


def test_a_source_is_not_looked_into_while_it_is_read(watched: Watched):
    (watched.folder / "0.txt").write_text("two")
    (run,) = watched.settle()
    (watched.folder / "0.txt").write_text("document 0")
    assert watched.settle() == []
    assert run.run_id in watched.said
    watched.instance.report_run_failed(run)
    assert watched.settle() == []


def test_a_source_in_shards_asks_for_the_one_that_changed(watched: Watched):
    watched.declare(shards=2)
    watched.cursor = None
    for run in watched.settle():
        watched.finish(run)
    watched.settle()
    (watched.folder / "0.txt").write_text("two")
    (run,) = watched.settle()
    assert run.tags["dagster/partition"] in ("docs-1of2", "docs-2of2")


@pytest.mark.parametrize("seconds", [-1e8, -60, 1e8])
def test_a_clock_that_is_set_delays_a_change_by_one_wait_at_most(watched: Watched, seconds: float):
    watched.wait(7200)
    watched.tick()
    (watched.folder / "0.txt").write_text("two")
    watched.tick()
    watched.wait(seconds)
    started = watched.tick()
    watched.wait(QUIET + 1)
    assert len([*started, *watched.tick()]) == 1


def test_a_vanished_source_is_held_and_what_stands_stays(watched: Watched):
    before = standing(ArtifactStore(watched.home.artifacts), "docs")
    watched.folder.rename(watched.root / "elsewhere")
    assert watched.settle() == []
    assert "docs is held" in watched.said
    assert "no such folder" in watched.said
    with pytest.raises(SourceError, match="no such folder"):
        accept(watched.home, load_declared().sources["docs"], by="user:a")
    (watched.root / "elsewhere").rename(watched.folder)
    assert watched.settle() == []
    assert watched.said == "no source moved"
    assert standing(ArtifactStore(watched.home.artifacts), "docs") == before


@pytest.mark.parametrize("left", [0, 4])
def test_an_emptied_source_waits_for_a_person(watched: Watched, left: int):
    for path in sorted(watched.folder.iterdir())[left:]:
        path.unlink()
    placed = load_declared().sources["docs"]
    assert watched.settle() == []
    assert f"lists {left} entries, 10 when it was last read" in watched.said
    assert watched.settle() == [], "however long it stays so"
    assert "docs is held" in watched.said
    assert list(held(watched.home, placed)) == ["docs"]
    assert accept(watched.home, placed, by="user:a") == ["docs"]
    assert held(watched.home, placed) == {}
    (statement,) = [each for each in Ledger(watched.home.ledger).entries() if each["kind"] == "source-accepted"]
    assert statement["statement"]["by"] == "user:a"
    assert len(watched.tick()) == 1


def test_no_run_reads_a_source_that_is_held(watched: Watched):
    shutil.rmtree(watched.folder)
    watched.folder.mkdir()
    (watched.folder / "0.txt").write_text("document 0")
    placed = load_declared().sources["docs"]
    with pytest.raises(SourceError, match="forge sources accept docs"):
        watched.finish(watched.start(dg.RunRequest(run_key="by hand", partition_key="docs")))
    accept(watched.home, placed, by="user:a")
    assert watched.finish(watched.start(dg.RunRequest(run_key="again", partition_key="docs"))) is not None


def test_most_of_a_source_that_stays_needs_nobody(watched: Watched):
    for path in sorted(watched.folder.iterdir())[6:]:
        path.unlink()
    assert len(watched.settle()) == 1
