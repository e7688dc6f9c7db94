"""Items of the domain benchmark: how many there are, how hard, and how often they are guessed from the choices alone.

`python -m benchmarks items [FOLDER ...]`: the documents of the sample company, or of these folders.
"""

import tempfile
from pathlib import Path
from statistics import fmean

from assets.documents import MOST_BENCHMARK_ITEMS, SEED, SPLIT
from forge_dagster.corpus import clean, corpus, snapshot, split
from forge_dagster.evaluation import domain_benchmark
from forge_dagster.evaluation.domain_benchmark import BenchmarkConfig, read_items
from forge_dagster.evaluation.review import Review
from forge_dagster.home import PROJECT
from forge_dagster.source import Cleaning, Labels
from forge_dagster.stage import FrozenModel, NoConfig, Stage, local_context

SAMPLE = PROJECT / "data" / "sample" / "documents"
LABELS = Labels(
    owner="o",
    licence="internal",
    sensitivity="internal",
    legal_basis="none",
    jurisdiction="SE",
    permitted_use=("training", "evaluation"),
    audience=("everyone",),
    retention=None,
)


def main(*folders: str) -> None:
    """Print a table for each folder."""
    for folder in map(Path, folders or [str(SAMPLE)]):
        with tempfile.TemporaryDirectory() as scratch:
            _measure(folder, Path(scratch))


def _measure(folder: Path, root: Path) -> None:
    context = local_context(root / "context")

    def hop(name: str, stage: Stage, inputs: dict[str, Path], config: FrozenModel) -> tuple[Path, dict[str, int]]:
        out = root / name
        out.mkdir()
        return out, dict(stage.run(inputs, config, out, context).counts)

    read = snapshot.SnapshotConfig(source="source", kind="folder", settings={}, location=str(folder))
    raw, _ = hop("raw", snapshot.STAGE, {}, read)
    cleaning = clean.CleanConfig(cleaning=Cleaning(), labels=LABELS, rank=0)
    cleaned, _ = hop("clean", clean.STAGE, {"raw_documents": raw}, cleaning)
    inputs = {"clean_documents/source": cleaned}
    inputs["document_split"], sides = hop("split", split.STAGE, inputs, SPLIT)
    facts = folder.parent / "facts.jsonl"
    if facts.is_file():
        inputs["facts/source"] = facts
    asked = BenchmarkConfig(seed=SEED, most_items=MOST_BENCHMARK_ITEMS, review=Review())
    benchmark, _ = hop("benchmark", domain_benchmark.STAGE, inputs, asked)
    _, trained = hop("corpus", corpus.STAGE, {**inputs, "domain_benchmark": benchmark}, NoConfig())
    held_out = sides["validation"] + sides["test"]
    print(f"\n{folder}: {sides['train']:,} documents to train on, {held_out:,} held out; ", end="")
    print(f"{trained.get('dropped/contaminated', 0):,} left out of training for their items")
    guessers = ("longest", "shortest", "tell-tale", "n-gram")
    print(
        f"{'':<20}{'items':>7}{'documents':>11}{'difficulty':>12}{'chance':>8}" + "".join(f"{g:>11}" for g in guessers)
    )
    for task, items in read_items(benchmark):
        right = {each["guesser"]: each["right"] / each["n"] for each in task["guessed"]}
        documents = {name for item in items for name in item["document_ids"]}
        print(
            f"{task['name']:<20}{len(items):>7,}{len(documents):>11,}{fmean(i['difficulty'] for i in items):>12.2f}"
            f"{1 / task['choices']:>8.2f}" + "".join(f"{right[g]:>11.3f}" for g in guessers)
        )
    for finding in domain_benchmark.check(benchmark):
        print(f"{finding.name}: {'holds' if finding.passed else 'FAILS'}")
