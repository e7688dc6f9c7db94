"""A source of a folder in a home of its own, and the sensor that watches it, with a real instance and a real store."""

from pathlib import Path

import dagster as dg
import yaml

from forge_dagster.corpus.snapshot import SnapshotConfig, snapshot_config
from forge_dagster.corpus.standing import content_of, raw_key
from forge_dagster.declared import load_declared
from forge_dagster.home import Home
from forge_dagster.provenance.build import Built, External, Order, build
from forge_dagster.provenance.run import Run
from forge_dagster.source import source_of
from sensors.source_changes import evaluate

QUIET = 30.0


class Watched:
    """One source that is watched: what a daemon and its runs would do, each step by hand; a clock that is set."""

    def __init__(
        self, root: Path, home: Home, instance: dg.DagsterInstance, module: str = "forge_dagster.corpus.snapshot"
    ) -> None:
        self.root, self.home, self.instance, self.module = root, home, instance, module
        self.folder = root / "docs"
        self.now = 1e9
        self.cursor: str | None = None
        self.said = ""
        self.built: list[str] = []
        """Contents that a run read, other than one that stood."""
        self.count = 0

    def declare(self, **more: object) -> None:
        source = {"name": "docs", "kind": "folder", "location": "../docs", "owner": "o", "licence": "internal"}
        watch = {"quiet_seconds": QUIET, "longest_wait_seconds": 600}
        (self.root / "sources").mkdir(exist_ok=True)
        text = yaml.safe_dump({**source, "sensitivity": "internal", "watch": watch, **more})
        (self.root / "sources" / "docs.yaml").write_text(text)

    def tick(self, *, keeps_cursor: bool = True) -> list[dg.DagsterRun]:
        """One tick; the runs it started are those whose key no run had, as the daemon has it."""
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor)
        found = list(evaluate(context, self.now))
        if keeps_cursor:
            self.cursor = context.cursor
        self.said = "".join(item.skip_message or "" for item in found if isinstance(item, dg.SkipReason))
        requests = [item for item in found if isinstance(item, dg.RunRequest)]
        return [self.start(each) for each in requests if not self.runs(**{"dagster/run_key": str(each.run_key)})]

    def start(self, request: dg.RunRequest) -> dg.DagsterRun:
        self.count += 1
        tags = {"dagster/run_key": str(request.run_key), "dagster/partition": str(request.partition_key)}
        return self.instance.create_run_for_job(empty, tags=tags, status=dg.DagsterRunStatus.STARTED)

    def runs(self, **tags: str) -> list[dg.DagsterRun]:
        return list(self.instance.get_runs(dg.RunsFilter(tags=tags)))

    def wait(self, seconds: float = QUIET) -> None:
        self.now += seconds

    def settle(self) -> list[dg.DagsterRun]:
        """Ticks until the change counts as quiet."""
        self.tick()
        self.wait(3600)
        return self.tick()

    def finish(self, run: dg.DagsterRun, *, crashes: bool = False) -> Built | None:
        """What the run does: it reads the partition into the store, or dies before it could."""
        if crashes:
            self.instance.report_run_failed(run)
            return None
        partition = run.tags["dagster/partition"]
        placed = load_declared().sources[source_of(partition)]
        place = snapshot_config(placed, placed.source.partitions[partition])
        made = self.build(partition, place)
        self.instance.handle_new_event(finished(run))
        return made

    def build(self, partition: str, place: SnapshotConfig) -> Built:
        run = Run(self.home, f"run-{self.count:05}-{partition}")
        run.freeze({})

        def measure() -> str:
            return content_of(self.home, partition, place, 0.5)

        order = Order(
            key=raw_key(partition),
            module=self.module,
            inputs={},
            external={"documents": External(what="docs", measure=measure)},
            config=place,
            numerics=None,
        )
        built = build(run, order, actor="user:test", say=lambda _: None)
        if not built.reused:
            self.built.append(built.record.identity.inputs["documents"].digest)
        return built


def finished(run: dg.DagsterRun) -> dg.EventLogEntry:
    """The event that ends a run well."""
    event = dg.DagsterEvent(event_type_value=dg.DagsterEventType.RUN_SUCCESS.value, job_name=run.job_name)
    return dg.EventLogEntry(
        error_info=None, level=20, user_message="", run_id=run.run_id, timestamp=0.0, dagster_event=event
    )


@dg.job
def empty() -> None:
    """Stands for the job of one source: what its runs do, `Watched.finish` does."""
