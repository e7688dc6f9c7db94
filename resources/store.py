"""The artifact store as a Dagster resource: every asset's one statement is `store.materialize(...)`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import dagster as dg

from forge_dagster.automation import automation_file, load_automation
from forge_dagster.declared import Declared, load_declared
from forge_dagster.errors import ForgeError, InterruptedRun, StorageError, VerdictError, WorkerDied
from forge_dagster.home import home
from forge_dagster.provenance.build import Order, build
from forge_dagster.provenance.run import Run
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.provenance.withdraw import withdraw
from forge_dagster.source import source_of
from forge_dagster.stage import Finding
from resources.openlineage import Attempt, Events
from resources.presentation import check_results, materialize_result
from resources.process import die_with_run
from resources.tags import FORCE_TAG, FULL_TAG, actor_of, launch_of

MOST_PREEMPTIONS = 1000
"""Times that one step is taken up again after a SIGTERM; each time it goes on where it stood."""

MOST_DEATHS = 3
"""Times that a training of several processes is taken up again after one of them died."""


def freeze(run: Run, who: str, declared: Declared | None = None) -> Declared:
    """Freeze what the run reads, or return what was frozen first."""
    wanted = declared or load_declared()
    frozen = run.freeze({"declared": wanted.model_dump(mode="json"), "actor": who})
    return Declared.model_validate(frozen["declared"])


def former_partitions(store: ArtifactStore, declared: Declared, asset: str) -> list[str]:
    """Keys that are still current of partitions their source no longer has, for its `shards` were changed."""
    wanted = {f"{asset}/{partition}" for placed in declared.sources.values() for partition in placed.source.partitions}
    below = [key for key in store.current_below(asset) if key not in wanted]
    return [key for key in below if source_of(key.removeprefix(f"{asset}/")) in declared.sources]


@contextmanager
def events_of(context: dg.AssetExecutionContext, run: Run, key: str, order: Order) -> Iterator[Events]:
    """OpenLineage events of one attempt; a body that raises has failed, unless it was stopped and goes on later."""

    def say(problem: str) -> None:
        context.log.warning(problem)
        run.note_untold(problem)

    attempt = Attempt(context.run.run_id, context.run.job_name, context.retry_number)
    events = Events(load_automation(automation_file()).openlineage, run.home.root, attempt, key, say)
    events.started(order)
    try:
        yield events
    except InterruptedRun:
        raise
    except Exception as error:
        events.failed(error)
        raise


class Store(dg.ConfigurableResource[Any]):
    """Builds artifacts into the store of FORGE_HOME and mirrors them to Dagster."""

    def materialize(
        self, context: dg.AssetExecutionContext, order_of: Callable[[Declared, bool], Order]
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        """Build the order in this run's launch; yield check results and the materialization.

        Raises dagster.RetryRequested if a signal stopped it or a process of several died, dagster.Failure with the
        message of any other ForgeError.
        """
        die_with_run()
        tags = context.run.tags
        run = Run(home(), launch_of(context.run))
        who = actor_of(context.run)
        key = context.asset_key.to_user_string()
        try:
            declared = freeze(run, who, load_declared().in_full() if tags.get(FULL_TAG) == "true" else None)
            order = order_of(declared, tags.get(FORCE_TAG) == "true")
            key = order.key
            with events_of(context, run, key, order) as events:
                built = build(run, order, actor=who, say=context.log.info)
                events.ended(built)
            if context.has_partition_key:
                for former in former_partitions(run.store, declared, context.asset_key.to_user_string()):
                    withdraw(run.home, former)  # else its documents would stand twice
        except InterruptedRun as error:
            context.log.info(f"{key}: {error.problem}")
            raise dg.RetryRequested(max_retries=MOST_PREEMPTIONS) from error
        except WorkerDied as error:
            if context.retry_number >= MOST_DEATHS:
                run.note_error(key, error)
            context.log.warning(f"{key}: {error}")
            raise dg.RetryRequested(max_retries=MOST_DEATHS) from error
        except StorageError as error:
            with suppress(OSError):  # it has no room, or takes no writes: then Dagster alone tells why
                run.note_error(key, error)
            raise dg.Failure(description=str(error), allow_retries=False) from error
        except ForgeError as error:
            run.note_error(key, error)
            if isinstance(error, VerdictError):
                yield from check_results([Finding.model_validate(item) for item in error.findings])
            raise dg.Failure(description=str(error), allow_retries=False) from error
        except Exception as error:
            run.note_error(key, error)
            # What nobody foresaw comes again; only a killed process is worth another try.
            raise dg.Failure(description=f"{type(error).__name__}: {error}", allow_retries=False) from error
        verb = "reused" if built.reused else "made"
        context.log.info(f"{verb} {key}@{built.record.digest[:12]} in {built.seconds:.1f} s")
        yield materialize_result(built)
