"""What a stage does while hosts train for it: it follows, stops, gives up and blames; its pulse ends them with it."""

import json
import signal
import threading
import time
from pathlib import Path

import pytest

from forge_dagster.errors import InterruptedRun, RecipeError, WorkerDied
from forge_dagster.stage import LocalContext, StageContext, local_context
from forge_dagster.training import pulse
from forge_dagster.training.blame import first_failure, last_words
from forge_dagster.training.gang import _raise, follow
from forge_dagster.training.launch import ERRORS, MET, PROGRESS, STOP, Ended, State

CAUSE = """
Root Cause (first observed failure):
[0]:
  time      : 2026-11-29_12:00:0{0}
  host      : node{1}
  rank      : {1} (local_rank: 0)
  exitcode  : {2} (pid: 12)
"""


class Scripted:
    """Hosts that are as they are told to be, look after look; the last for ever."""

    every = 0.0

    def __init__(self, *states: State) -> None:
        self.states, self.ended = list(states), False

    def clear(self) -> None: ...

    def start(self, context: StageContext, token: str) -> None: ...

    def look(self) -> State:
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def seen(self) -> str:
        return "node2 is drained"

    def end(self) -> None:
        self.ended = True


class Stopped(LocalContext):
    def cancelled(self) -> bool:
        return True


def stopped(folder: Path) -> Stopped:
    plain = local_context(folder)
    return Stopped(plain.work, plain.beside, plain.cache)


def test_progress_is_told_until_the_end(tmp_path: Path):
    context = local_context(tmp_path)
    (context.work / MET).touch()
    (context.work / PROGRESS).write_text(json.dumps([3, 60, "loss 2"]))
    hosts = Scripted("waiting", "running", "running", Ended(True))
    assert follow(hosts, context.work, context, start_seconds=9, save_seconds=9) == Ended(True)
    assert context.seen == [(3, 60, "loss 2")]


def test_hosts_that_do_not_meet_are_given_up(tmp_path: Path):
    context = local_context(tmp_path)
    with pytest.raises(WorkerDied, match=r"not all hosts met within 0.3 s; node2 is drained"):
        follow(Scripted("waiting", "running"), context.work, context, start_seconds=0.3, save_seconds=9)


def test_hosts_that_fall_silent_are_given_up(tmp_path: Path):
    context = local_context(tmp_path)
    (context.work / MET).touch()
    (context.work / PROGRESS).write_text(json.dumps([3, 60, "loss 2"]))
    with pytest.raises(WorkerDied, match=r"no step was done within 0.3 s; node2 is drained"):
        follow(Scripted("running"), context.work, context, start_seconds=9, save_seconds=9, silence_seconds=0.3)
    assert context.seen == [(3, 60, "loss 2")]


def test_time_in_the_queue_does_not_count(tmp_path: Path):
    context = local_context(tmp_path)
    hosts = Scripted(*["waiting"] * 4, Ended(True))
    assert follow(hosts, context.work, context, start_seconds=0.3, save_seconds=9).succeeded


def test_stopped_in_the_queue_it_waits_for_nobody(tmp_path: Path):
    context = stopped(tmp_path)
    with pytest.raises(InterruptedRun, match="before it began"):
        follow(Scripted("waiting"), context.work, context, start_seconds=9, save_seconds=9)


def test_stopped_all_are_told_and_have_time_to_save(tmp_path: Path):
    context = stopped(tmp_path)
    (context.work / MET).touch()
    hosts = Scripted("running", "running", Ended(False))
    assert not follow(hosts, context.work, context, start_seconds=9, save_seconds=9).succeeded
    assert (context.work / STOP).exists()
    with pytest.raises(InterruptedRun, match=r"not saved within 0.3 s"):
        follow(Scripted("running"), context.work, context, start_seconds=9, save_seconds=0.3)


def test_what_a_worker_said_comes_before_how_its_host_ended(tmp_path: Path):
    with pytest.raises(WorkerDied, match="node2 is gone; the other processes were stopped"):
        _raise(tmp_path, Ended(False, "node2 is gone"))
    with pytest.raises(InterruptedRun, match="node2 is gone: the machines were wanted elsewhere"):
        _raise(tmp_path, Ended(False, "node2 is gone", called_back=True))
    (tmp_path / ERRORS).mkdir()
    told = {"kind": "RecipeError", "problem": "it diverged", "rule": "r", "mend": "m"}
    (tmp_path / ERRORS / "1.json").write_text(json.dumps(told))
    with pytest.raises(RecipeError, match="it diverged"):
        _raise(tmp_path, Ended(False, "node2 is gone"))


def test_the_first_to_fail_is_blamed_whatever_host_it_was_on():
    assert first_failure([CAUSE.format(5, 0, 1), CAUSE.format(4, 1, -9)]) == "rank 1 ended with exit code -9"
    assert first_failure(["", "Killed"]) == ""


def test_what_a_process_said_is_not_buried_by_torchrun():
    own = "OSError: [Errno 30] Read-only file system: '/forge/home/work/met'\n"
    torchrun = "E1130 api.py:988] [default] failed (exitcode: 1) local_rank: 0 (pid: 7) of fn: python\nTraceback\n" * 40
    assert last_words([("host 0", own + torchrun + CAUSE.format(1, 0, 1))]) == f"host 0\n{own}"
    assert last_words([("host 0", torchrun)]).endswith("Traceback\n")


def test_a_pulse_is_seen_and_one_that_stopped_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pulse, "EVERY", 0.1)
    with pulse.beating(tmp_path, "mine"):
        assert pulse.lives(tmp_path)
    assert pulse.read(tmp_path).startswith("mine ")
    assert not pulse.lives(tmp_path)


@pytest.mark.parametrize(("beats", "token", "told"), [(False, "mine", signal.SIGTERM), (True, "other", signal.SIGKILL)])
def test_workers_end_when_their_stage_is_silent_or_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beats: bool, token: str, told: int
):
    monkeypatch.setattr(pulse, "EVERY", 0.05)
    monkeypatch.setattr(pulse, "SAVING", 0.2)
    heard: list[int] = []
    begun = time.monotonic()
    with pulse.beating(tmp_path, "mine"):
        follower = threading.Thread(
            target=pulse.follow, args=(tmp_path, token, heard.append), kwargs={"every": 0.05, "patience": 0.5}
        )
        follower.start()
        if beats:
            follower.join(5)
        else:
            time.sleep(1.2)
            assert heard == []  # it lives
    follower.join(5)
    assert not follower.is_alive()
    assert heard == ([told] if beats else [told, signal.SIGKILL])  # it saves, or is ended
    assert time.monotonic() - begun < 5
