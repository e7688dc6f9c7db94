"""Exports of a release side by side: size, tokens a second on CPU, and what is lost, each precision of each kind.

Reads the release that serves in FORGE_HOME; what the gate would refuse is shown as well.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

PROMPT_TOKENS, TOKENS = 16, 32


def main(*options: str) -> None:
    """Print the table, or say that there is no release."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks exports", description=__doc__)
    parser.add_argument("--recipe", default="tiny-dense")
    parser.add_argument("--rounds", type=int, default=5, help="times that each says its tokens, in turn")
    parser.add_argument("--bytes", type=int, default=20_000, help="of held-out text")
    given = parser.parse_args(options)

    from forge_dagster.evaluation.by_runner import answered, questions, tasks_of
    from forge_dagster.evaluation.evidence import by_metric
    from forge_dagster.evaluation.held_out import first_documents
    from forge_dagster.evaluation.score import Result
    from forge_dagster.evaluation.statistics import paired
    from forge_dagster.export import Runner
    from forge_dagster.export_kinds import every_target, export_kind, taking
    from forge_dagster.exporting import GATED, source_of
    from forge_dagster.home import home
    from forge_dagster.model.runner import Transformers
    from forge_dagster.provenance.incumbent import Released
    from forge_dagster.provenance.store import ArtifactStore
    from forge_dagster.tokens.encoding import TOKENIZER_FILES
    from forge_dagster.training.precision import thread_limit, threads

    store, serving = ArtifactStore(home().artifacts), Released(release=f"{given.recipe}/release")
    refs = serving.inputs(store, store.serving(serving.release), {})
    if not refs:
        print(f"\nExports: not run, {given.recipe} has no release in {home().root}")
        return
    inputs = {name: store.content(str(ref.key), ref.digest) for name, ref in refs.items()}
    source = source_of(inputs)
    documents = first_documents(inputs["corpus"] / "validation.parquet", given.bytes)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        stack.enter_context(thread_limit(threads()))
        original = Transformers(source.folder)
        runners: dict[str, Runner] = {"release (transformers)": original}
        sizes = {"release (transformers)": (source.folder / "model.safetensors").stat().st_size}
        for target in every_target():
            if target.kind not in taking(source.architecture):
                continue
            kind, out = export_kind(target.kind), Path(name) / target.kind / target.precision
            out.mkdir(parents=True)
            kind.make(source, target.precision, out)
            sizes[str(target)] = sum(path.stat().st_size for path in out.iterdir())
            for file in TOKENIZER_FILES:
                shutil.copyfile(source.folder / file, out / file)
            runners[str(target)] = stack.enter_context(kind.opened(out, threads()))
        prompts = [original.encode(row["text"])[:PROMPT_TOKENS] for row in documents[:4]]
        speeds: dict[str, list[float]] = {each: [] for each in runners}
        for _ in range(given.rounds):
            for each, runner in runners.items():
                begun = time.perf_counter()
                said = sum(len(runner.greedy(prompt, TOKENS)) for prompt in prompts)
                speeds[each].append(said / (time.perf_counter() - begun))
        positions = source.config["max_position_embeddings"] - 1  # llama.cpp keeps a place for what it says
        wanted = questions(inputs["domain_benchmark"], documents, original.encoder, positions)
        metrics = {f"{task.name}.{metric}": how for task in tasks_of(wanted) for metric, how in task.metrics.items()}
        print(
            f"\nExports of {given.recipe}, {threads()} threads; {len(documents)} documents; difference over items with "
            "bounds of 5 % error each"
        )
        print(f"{'':<24}{'kB':>8}{'tokens/s':>10}{'(min..max)':>16}  " + "".join(f"{each:<38}" for each in GATED))
        first: dict[str, list[Result]] = {}
        for each, runner in runners.items():
            found, _ = answered(runner, wanted, lambda done: None)
            results = {key: rows for task, said in found.items() for key, rows in by_metric(task, said).items()}
            first = first or results
            cells = []
            for metric in GATED:
                pair = paired(results[metric], first[metric], metrics[metric])
                assert pair is not None
                total = sum(result.weight for result in results[metric])
                value = sum(result.value * result.weight for result in results[metric]) / total
                cells.append(f"{value:.4f} {pair.difference:+.4f} ({_bound(pair.low)} to {_bound(pair.high)})")
            spread = f"({min(speeds[each]):.0f}..{max(speeds[each]):.0f})"
            print(
                f"{each:<24}{sizes[each] / 1000:>8.0f}{statistics.median(speeds[each]):>10.0f}{spread:>16}  "
                + "".join(f"{cell:<38}" for cell in cells)
            )


def _bound(value: float | None) -> str:
    return "?" if value is None else f"{value:+.4f}"
