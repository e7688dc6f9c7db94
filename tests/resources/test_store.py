"""A training that loses processes: Dagster takes it up again, and the run is told of the last death alone."""

from pathlib import Path

import dagster as dg
import pytest

from forge_dagster.errors import WorkerDied
from forge_dagster.home import Home
from forge_dagster.provenance.build import Order
from forge_dagster.provenance.run import Run, run_folders
from forge_dagster.stage import NoConfig
from resources.store import MOST_DEATHS, Store

DYING = """
from forge_dagster.errors import WorkerDied
from forge_dagster.stage import Report, Stage

def run(inputs, config, out, context):
    deaths = sum(1 for _ in context.work.glob("death-*"))
    if deaths < {times}:
        (context.work / f"death-{{deaths}}").touch()
        raise WorkerDied("rank 1 ended with exit code -9")
    (out / "text.txt").write_text("made")
    return Report(counts={{"deaths": deaths}})

STAGE = Stage(run=run)
"""


@pytest.mark.parametrize("times", [1, MOST_DEATHS, MOST_DEATHS + 1])
def test_a_death_is_an_error_once_no_retry_is_left(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    module = f"dying_{times}_times"
    (tmp_path / f"{module}.py").write_text(DYING.format(times=times))
    monkeypatch.syspath_prepend(str(tmp_path))
    order = Order(key="made", module=module, inputs={}, external={}, config=NoConfig(), numerics=None)

    @dg.asset
    def made(context: dg.AssetExecutionContext, store: Store):
        yield from store.materialize(context, lambda declared, force: order)

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([made], resources={"store": Store()}, instance=instance, raise_on_error=False)
    (folder,) = run_folders(home)
    errors = Run(home, folder.name).errors()
    retries = [event for event in result.all_events if event.is_step_up_for_retry]
    assert len(retries) == min(times, MOST_DEATHS)
    assert result.success == (times <= MOST_DEATHS)
    assert [error["exit_code"] for error in errors] == ([] if result.success else [WorkerDied.exit_code])
