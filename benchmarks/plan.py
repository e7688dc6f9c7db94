"""The plan on paper of what no single machine was there to try: 1 TB of documents, models of 8B and 8x7B.

`python -m benchmarks plan [--gpus N] [--network GB/S] [--price P] ...`; nothing is run. Formulas and their sources are
in _plan_training.py and _plan_curation.py; `tests/benchmarks/test_plan.py` holds them against small cases that are run.
"""

import argparse

from benchmarks import _plan_curation as curation
from benchmarks import _plan_training as training
from forge_dagster.recipe import ModelSpec

_LIKE = {"layers": 32, "heads": 32, "kv_heads": 8, "head_dim": 128, "hidden_size": 4096, "intermediate_size": 14_336}
MODELS = {
    "8B dense": (ModelSpec(architecture="mistral", tie_embeddings=False, rope_theta=5e5, **_LIKE), 128_256),
    "8x7B mixture": (
        ModelSpec(
            architecture="mixtral", tie_embeddings=False, rope_theta=1e6, experts=8, experts_per_token=2, **_LIKE
        ),
        32_000,
    ),
}
"""Shapes and vocabularies of Llama 3 8B (Dubey et al. 2024, table 3) and Mixtral 8x7B (Jiang et al. 2024, table 1)."""
GENERATED = curation.Rates(shard=1.7e-6, compared=1.6e-8, whole=1.2e-3, start=10.0, kept=6.6)
"""By `python -m benchmarks scale 3000`, whose generated documents are mostly text: 13.8 processor seconds to read and
clean 8.07 MB, 3.7 for the hops that see all 3,000 documents; 52.9 MB of artifacts and caches after a change of 1 %.
By `partitions --documents 20000` the duplicates of 51.6 MB take 0.82 s, in eight steps. A pod's start is assumed."""


def main(*options: str) -> None:
    """Print both plans."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks plan", description=__doc__)
    parser.add_argument("--terabytes", type=float, default=1.0, help="of documents")
    parser.add_argument("--document", type=float, default=50.0, help="kB of a document")
    parser.add_argument("--shards", type=int, default=10_000)
    parser.add_argument("--pods", type=int, default=250, help="at one time")
    parser.add_argument("--cores", type=int, default=2, help="of a pod")
    parser.add_argument("--price", type=float, default=0.04, help="of one core for an hour")
    parser.add_argument("--gpus", type=int, default=64)
    parser.add_argument("--gpu-memory", type=float, default=141, help="GB")
    parser.add_argument("--peak", type=float, default=989, help="TFLOP/s, bfloat16, dense")
    parser.add_argument("--efficiency", type=float, default=0.55, help="of the products of a step, an assumption")
    parser.add_argument("--network", type=float, default=50, help="GB/s of a GPU to other hosts")
    parser.add_argument("--disk", type=float, default=2, help="GB/s that one process writes")
    parser.add_argument("--step-tokens", type=int, default=4_194_304)
    parser.add_argument("--sequence", type=int, default=4096)
    parser.add_argument("--pass-tokens", type=int, default=8192, help="of one forward pass")
    given = parser.parse_args(options)
    _documents(given)
    machine = training.Machine(
        gpus=given.gpus,
        memory=given.gpu_memory * 1e9,
        peak=given.peak * 1e12,
        efficiency=given.efficiency,
        network=given.network * 1e9,
        disk=given.disk * 1e9,
    )
    batch = training.Batch(given.step_tokens, given.sequence, given.pass_tokens)
    for name, (spec, vocabulary) in MODELS.items():
        _model(name, spec, vocabulary, batch, machine)


def _documents(given: argparse.Namespace) -> None:
    size = given.terabytes * 1e12
    count = round(size / given.document / 1e3)
    documents = curation.Documents(size, count, given.shards, given.pods, given.cores, given.price)
    found = curation.plan(documents, GENERATED)
    print(f"\n{given.terabytes:g} TB in {count:,} documents, {given.shards:,} shards, {given.pods} pods at one time")
    for what, value in {
        "sources": f"{found.sources:,} of {found.shards_of_one:,} shards",
        "pods": f"{found.steps:,}",
        "a shard": f"{found.shard_bytes / 1e6:,.0f} MB, {found.shard_seconds:,.0f} s on {given.cores} cores",
        "reading and cleaning": f"{found.parallel_hours:,.1f} h",
        "duplicates by bands": f"{found.compared_hours:,.2f} h, {found.groups} steps side by side",
        "split, benchmark, corpus": f"{found.serial_hours:,.1f} h in one process",
        "altogether": f"{found.hours:,.1f} h, {found.core_hours:,.0f} core hours, {found.cost:,.0f} at {given.price:g}",
        "store": f"{found.stored / 1e12:,.1f} TB",
    }.items():
        print(f"{what:<28}{value}")


def _model(name: str, spec: ModelSpec, vocabulary: int, batch: training.Batch, machine: training.Machine) -> None:
    counts = training.parameters(spec, vocabulary)
    tokens = training.CHINCHILLA * counts.active
    print(
        f"\n{name}: {counts.total / 1e9:.2f}B parameters, {counts.active / 1e9:.2f}B a token; {machine.gpus} GPUs of "
        f"{machine.memory / 1e9:.0f} GB, {batch.tokens:,} tokens a step, {batch.micro_tokens:,} a pass"
    )
    print(
        f"{'':<8}{'state':>9}{'(paper)':>9}{'passes':>9}{'moment':>9}{'all':>9}{'fits':>6}{'sent a step':>13}"
        f"{'s a step':>10}{'MFU':>7}{'tokens/s':>12}{f'days, {tokens / 1e9:,.0f}B tokens':>22}"
    )
    for stage in (1, 2, 3):
        world = machine.gpus
        state, paper = (each(counts, stage, world) for each in (training.state, training.state_of_the_paper))
        passes = training.activations(spec, batch)
        moment = training.gathered(spec, vocabulary, stage, world)
        sent = training.traffic(counts, stage, world, batch.passes(world))
        spent = training.seconds(spec, vocabulary, batch, machine, stage)
        used = training.mfu(spec, vocabulary, batch, machine, stage)
        every = state + passes + moment
        gigabytes = "".join(f"{each / 1e9:>9,.1f}" for each in (state, paper, passes, moment, every))
        print(
            f"ZeRO {stage}  {gigabytes}{'yes' if every < machine.memory else 'no':>6}{sent / 1e9:>10,.0f} GB"
            f"{spent:>10.1f}{used:>7.0%}{batch.tokens / spent:>12,.0f}{tokens / batch.tokens * spent / 86_400:>22,.1f}"
        )
    size, between = training.checkpoint(counts), training.seconds_between(counts, machine) / 3600
    print(
        f"a checkpoint: {size / 1e9:,.0f} GB in the first host's memory and on the disk, "
        f"{size / machine.disk:,.0f} s to write, at most every {between:,.1f} h; "
        f"{training.room(counts) / 1e12:,.1f} TB for all that are kept"
    )
