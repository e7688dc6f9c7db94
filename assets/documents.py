"""From the sources' files to the training text, the benchmark and the data made from the corpus."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from assets.generated import generated_key, generator_hop, generators
from assets.hop import Hop
from forge_dagster.corpus.clean import CleanConfig
from forge_dagster.corpus.near_duplicates import NearDuplicatesConfig, band_groups
from forge_dagster.corpus.snapshot import EXTERNAL, SnapshotConfig, snapshot_config
from forge_dagster.corpus.split import SplitConfig
from forge_dagster.corpus.standing import content_of
from forge_dagster.declared import Declared
from forge_dagster.evaluation.domain_benchmark import BenchmarkConfig
from forge_dagster.home import folder_of, home
from forge_dagster.pairs.instructions import InstructionsConfig
from forge_dagster.pairs.policy_items import PolicyItemsConfig
from forge_dagster.pairs.preferences import PreferencesConfig
from forge_dagster.provenance.build import External
from forge_dagster.provenance.files import sha256_file
from forge_dagster.source import PlacedSource, Shard, source_of

SEED = 1  # of every choice among documents; a recipe's own seed decides its training alone
SPLIT = SplitConfig(seed=SEED, near_duplicate_jaccard=0.8, validation_share=0.05, test_share=0.03)
MOST_BENCHMARK_ITEMS = 200  # of one task
INSTRUCTIONS = InstructionsConfig(
    seed=SEED,
    held_out_share=0.1,
    most_rows=1500,
    shares={
        "faq": 0.2,
        "heading-question": 0.15,
        "definition": 0.15,
        "record": 0.1,
        "table": 0.1,
        "docstring": 0.1,
        "heading-topic": 0.1,
        "model": 0.1,
    },
)
MOST_PREFERENCES = 1600
POLICY_SHARE = 0.6  # of the preferences
MOST_ITEMS, MOST_HELD_OUT_ITEMS = 400, 60  # groups of items of one policy, to train on and to judge by
POLICY = "answer-form"
PER_SOURCE = ("raw_documents", "clean_documents")


def document_hops(declared: Declared) -> list[Hop]:
    """Two hops a source, or a shard of one, then the ones that join all sources."""
    shards = {
        partition: shard for each in declared.sources.values() for partition, shard in each.source.partitions.items()
    }
    raw, clean = ({f"{asset}/{name}": f"{asset}/{name}" for name in shards} for asset in PER_SOURCE)
    groups = _near_duplicates(declared, clean)
    return [
        *(_raw(partition, shard) for partition, shard in shards.items()),
        *(_clean(partition) for partition in shards),
        *groups,
        Hop(
            asset="document_split",
            module="forge_dagster.corpus.split",
            description="Duplicates clustered over all sources, one of each kept, clusters sent to one side.",
            group="documents",
            inputs={**clean, **{hop.key: hop.key for hop in groups}},
            config=_split,
        ),
        Hop(
            asset="domain_benchmark",
            module="forge_dagster.evaluation.domain_benchmark",
            description="lm-eval tasks made from the sources' facts, from held-out and from superseded documents.",
            group="documents",
            inputs={"document_split": "document_split", **clean},
            external=_facts,
            config=lambda frozen: BenchmarkConfig(seed=SEED, most_items=MOST_BENCHMARK_ITEMS, review=frozen.review),
        ),
        Hop(
            asset="corpus",
            module="forge_dagster.corpus.corpus",
            description="The training text, decontaminated against every benchmark, and the held-out sides.",
            group="documents",
            inputs={"document_split": "document_split", "domain_benchmark": "domain_benchmark", **clean},
            external=benchmark_files,
        ),
        Hop(
            asset="readiness",
            module="forge_dagster.corpus.readiness.assess",
            description="What the documents are, what they support, what is missing or stale, and what to mend first.",
            group="documents",
            inputs={
                "document_split": "document_split",
                "corpus": "corpus",
                **raw,
                **clean,
            },
            kinds=frozenset({"duckdb", "matplotlib"}),
        ),
        *(generator_hop(name, evals=benchmark_files) for name in generators(declared)),
        Hop(
            asset="instructions",
            module="forge_dagster.pairs.instructions",
            description="Question and answer pairs that the training documents contain, with their documents.",
            group="documents",
            inputs={"corpus": "corpus", **{key: key for key in map(generated_key, generators(declared))}},
            external=partial(_given, kind="chat"),
            config=lambda _: INSTRUCTIONS,
        ),
        Hop(
            asset="policy_items",
            module="forge_dagster.pairs.policy_items",
            description="Prompts by which each policy is trained and judged, with answers that keep and break it.",
            group="documents",
            inputs={"instructions": "instructions", "corpus": "corpus", "document_split": "document_split", **clean},
            config=lambda frozen: PolicyItemsConfig(
                seed=SEED,
                policies=tuple(frozen.policies.values()),
                form=frozen.policies[POLICY],
                most_train=MOST_ITEMS,
                most_held_out=MOST_HELD_OUT_ITEMS,
            ),
        ),
        Hop(
            asset="preferences",
            module="forge_dagster.pairs.preferences",
            description="Better answers beside worse ones: of the form, of facts, of every policy, and from people.",
            group="documents",
            inputs={"instructions": "instructions", "policy_items": "policy_items"},
            external=partial(_given, kind="preference"),
            config=lambda frozen: PreferencesConfig(
                seed=SEED, policy=frozen.policies[POLICY], most_rows=MOST_PREFERENCES, policy_share=POLICY_SHARE
            ),
        ),
    ]


def _near_duplicates(declared: Declared, clean: Mapping[str, str]) -> list[Hop]:
    """Where a source is in shards, duplicates are looked for in as many steps, each over some of the bands."""
    shards = max((len(each.source.partitions) for each in declared.sources.values()), default=1)
    return [] if shards == 1 else [
        Hop(
            asset=f"near_duplicates/{bands.start:02}-{bands.stop - 1:02}",
            module="forge_dagster.corpus.near_duplicates",
            description="Pairs of duplicates that these bands of the signatures propose, over all sources.",
            group="documents",
            inputs=clean,
            config=partial(_of_bands, bands),
        )
        for bands in band_groups(shards)
    ]  # fmt: skip


def _of_bands(bands: range, declared: Declared) -> NearDuplicatesConfig:
    alike = SPLIT.near_duplicate_jaccard
    return NearDuplicatesConfig(first_band=bands.start, bands=len(bands), near_duplicate_jaccard=alike)


def _split(declared: Declared) -> SplitConfig:
    """The split, without what was erased."""
    erased = [each for exclusion in declared.exclusions for each in exclusion.documents]
    ids, texts = {each.document for each in erased}, {text for each in erased for text in each.texts}
    return SPLIT.model_copy(update={"erased": tuple(sorted(ids)), "erased_texts": tuple(sorted(texts))})


def _raw(partition: str, shard: Shard) -> Hop:
    def config(frozen: Declared) -> SnapshotConfig:
        return snapshot_config(frozen.sources[source_of(partition)], shard)

    def documents(frozen: Declared) -> dict[str, External]:
        place = config(frozen)
        least = frozen.sources[source_of(partition)].source.watch.least_share
        measure = partial(content_of, home(), partition, place, least)
        return {EXTERNAL: External(what=place.location, measure=measure)}

    return Hop(
        asset="raw_documents",
        partition=partition,
        module="forge_dagster.corpus.snapshot",
        description="Every file of a source as it is, with its SHA-256 and a disposition for each.",
        group="documents",
        external=documents,
        config=config,
        kinds=frozenset({"python", "parquet"}),
    )


def _clean(partition: str) -> Hop:
    return Hop(
        asset="clean_documents",
        partition=partition,
        module="forge_dagster.corpus.clean",
        description="Each raw document as clean text, personal data and secrets replaced; or dropped, or quarantined.",
        group="documents",
        inputs={"raw_documents": f"raw_documents/{partition}"},
        config=lambda frozen: _cleaning(frozen.sources[source_of(partition)]),
        kinds=frozenset({"python", "parquet"}),
    )


def _cleaning(placed: PlacedSource) -> CleanConfig:
    return CleanConfig(cleaning=placed.source.cleaning, labels=placed.labels, rank=placed.source.rank)


def benchmark_files(frozen: Declared) -> dict[str, External]:
    """The items of every benchmark beside the domain benchmark."""
    files = sorted(
        path for path in folder_of("evals").rglob("*") if path.suffix in (".jsonl", ".json", ".csv", ".parquet")
    )
    return {
        f"evals/{path.relative_to(folder_of('evals')).as_posix()}": External(
            what=str(path), measure=partial(sha256_file, path), path=path
        )
        for path in files
    }


def _given(frozen: Declared, *, kind: str) -> dict[str, External]:
    """The files of pairs that people bring."""
    return {
        f"given/{name}": External(what=placed.location, measure=partial(sha256_file, Path(placed.location)),
                                  path=Path(placed.location))
        for name, placed in frozen.pairs.items()
        if placed.source.kind == kind
    }  # fmt: skip


def _facts(frozen: Declared) -> dict[str, External]:
    return {
        f"facts/{name}": External(what=str(source.facts), measure=partial(sha256_file, source.facts), path=source.facts)
        for name, source in frozen.sources.items()
        if source.facts is not None
    }
