"""The benchmark against nanochat without a checkout of it, and what it hands to one."""

from pathlib import Path

import pytest

from benchmarks import _nanochat as peer
from benchmarks import nanochat


def test_without_a_checkout_it_says_what_to_clone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nanochat.main(str(tmp_path))
    told = capsys.readouterr().out
    assert f"{tmp_path} is no checkout" in told
    assert peer.REPOSITORY in told
    assert peer.COMMIT in told


@pytest.mark.parametrize("lowered", [True, False])
def test_the_script_ends_with_its_own_rates_lowered_or_as_they_stand(lowered: bool) -> None:
    run = peer.Run(Path(), Path(), 2048, lowered, "cpu", 1000)
    options = dict(option.removeprefix("--").split("=") for option in peer._options(run, steps=900))
    scale = (2048 / peer.REFERENCE_BATCH) ** 0.5  # scripts/base_train.py multiplies every rate by this
    ends = float(options["matrix-lr"]) * scale
    assert ends == pytest.approx(peer.RATES["matrix-lr"] * (scale if lowered else 1.0))
    assert (options["total-batch-size"], options["device-batch-size"], options["warmup-steps"]) == ("2048", "8", "40")
