"""The plan on paper against what is made: models, optimizers, ZeRO's parts, checkpoints, shards."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small_run import SPEC, inputs_of, settings
from transformers import AutoModelForCausalLM, PreTrainedModel

from benchmarks import _plan_curation as curation
from benchmarks import _plan_training as training
from benchmarks import plan
from forge_dagster.corpus.signature import BANDS
from forge_dagster.model.build import build_model, configure
from forge_dagster.recipe import ModelSpec
from forge_dagster.source import Source
from forge_dagster.tokens.order import Order, Span
from forge_dagster.tokens.reader import open_documents
from forge_dagster.training import checkpoint
from forge_dagster.training.cost import Cost
from forge_dagster.training.execution import Execution
from forge_dagster.training.learner import Learner
from forge_dagster.training.sharded import groups_of

TIED = ModelSpec(
    architecture="qwen3", hidden_size=64, intermediate_size=96, layers=3, heads=4, kv_heads=2, head_dim=16,
    tie_embeddings=True, rope_theta=10_000.0,
)  # fmt: skip
MODELS = {**plan.MODELS, "tied": (TIED, 500), "small mixture": (SPEC, 300)}


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return inputs_of(tmp_path_factory.mktemp("inputs"), documents=20)["token_shards"]


def shape_of(name: str) -> PreTrainedModel:
    """A model without its numbers."""
    spec, vocabulary = MODELS[name]
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(configure(spec, vocab_size=vocabulary, positions=4096))


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_those_of_transformers(name: str) -> None:
    model, counts = shape_of(name), training.parameters(*MODELS[name])
    assert counts.total == sum(each.numel() for each in model.parameters())
    assert counts.active == Cost(model).parameters
    groups = groups_of(model)
    assert counts.moments == sum(4 * each.numel * len(each.names) * len(each.entries) for each in groups)


@pytest.mark.parametrize("name", MODELS)
def test_what_is_gathered_is_the_largest_group_or_parameter(name: str) -> None:
    (spec, vocabulary), groups = MODELS[name], groups_of(shape_of(name))
    whole, one = max(each.numel * len(each.names) for each in groups), max(each.numel for each in groups)
    assert training.gathered(spec, vocabulary, 1, 64) == 4 * whole
    assert training.gathered(spec, vocabulary, 3, 1_000_000) == 4 * one


@pytest.mark.parametrize("name", MODELS)
def test_operations_are_those_that_the_loop_counts(name: str) -> None:
    batch = training.Batch(tokens=8192, sequence=1024, micro_tokens=1024)
    rows = [[Span(document=0, start=0, length=1024)]] * 8
    assert training.operations(*MODELS[name], batch) == Cost(shape_of(name)).of(rows)


def test_a_checkpoint_has_the_bytes_of_the_plan(shards: Path, tmp_path: Path) -> None:
    how = Execution(
        dtype="float32", threads=1, device="cpu", micro_batch_tokens=64, compiled=False, recompute=False,
        processes=1, hosts=1, zero_stage=0,
    )  # fmt: skip
    documents, given = open_documents(shards, "train"), settings(steps=2)
    model = build_model(SPEC, vocab_size=documents.vocab_size, positions=given.sequence_length, seed=1)
    learner = Learner(model, documents, given, how)
    learner.gradients(Order(1, documents.lengths, given.sequence_length, given.rows).batch(0))
    learner.update(1.0)
    tensors = learner.tensors()
    counts = training.parameters(SPEC, documents.vocab_size)
    moments = sum(4 * each.numel() for name, each in tensors["optimizer"].items() if not name.endswith("/step"))
    assert moments == counts.moments
    written = checkpoint.save(tmp_path, 1, tensors, {}, keep=())
    size = sum(path.stat().st_size for path in written.iterdir())
    # Beside numbers there are names and the state of the random generator.
    assert training.checkpoint(counts) < size < 1.2 * training.checkpoint(counts)


def test_processes_hold_what_the_plan_says(shards: Path, tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    script, result = Path(__file__).with_name("zero_bytes.py"), tmp_path / "told.json"
    paths = os.pathsep.join([str(script.parents[1] / "training"), *filter(None, sys.path)])
    done = subprocess.run(
        [*torchrun, str(script), str(shards), str(result)],
        env=os.environ | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1", "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    counts = training.parameters(SPEC, open_documents(shards, "train").vocab_size)
    for stage, held in json.loads(result.read_text()).items():
        gradients = training.GRADIENT * counts.total / (2 if int(stage) >= 2 else 1)  # dropped after a step
        assert held == pytest.approx(training.state(counts, int(stage), 2) - gradients, rel=0.02), stage


def test_the_formats_of_the_paper_give_its_figures() -> None:
    """ZeRO, figure 1: 7.5B parameters on 64 GPUs."""
    counts = training.Parameters(muon=7_500_000_000, adam=0, active=0)
    found = [training.state_of_the_paper(counts, stage, 64) / 1e9 for stage in (1, 2, 3)]
    assert found == pytest.approx([31.4, 16.6, 1.9], abs=0.05)


def test_more_is_sent_in_later_stages_and_with_more_passes() -> None:
    counts = training.parameters(*plan.MODELS["8B dense"])
    sent = [training.traffic(counts, stage, 64, 8) for stage in (1, 2, 3)]
    assert sent == sorted(sent)
    # Without Muon and with one pass: twice and three times the parameters (ZeRO, section 7).
    plain = training.Parameters(muon=0, adam=1_000_000, active=0)
    assert [training.traffic(plain, stage, 10**9, 1) for stage in (1, 2, 3)] == pytest.approx([8e6, 8e6, 12e6])


def test_sources_have_as_many_partitions_as_the_plan_has_shards() -> None:
    documents = curation.Documents(bytes=1e12, count=20_000_000, shards=10_000, pods=250, cores=2, price=0.04)
    found = curation.plan(documents, plan.GENERATED)
    source = Source(
        name="part", kind="folder", location="/documents", shards=found.shards_of_one, owner="o", licence="internal",
        sensitivity="internal",
    )  # fmt: skip
    assert found.groups == BANDS
    assert found.steps == 2 * found.sources * len(source.partitions) + BANDS
    assert found.compared_hours * 3600 == pytest.approx(plan.GENERATED.start + 1e12 * plan.GENERATED.compared / BANDS)
    assert found.cost == pytest.approx(found.core_hours * 0.04)
    # All cores computing all the time, without starts, would take this long.
    least = 1e12 * plan.GENERATED.shard / (250 * 2) / 3600
    assert least < found.parallel_hours < 2 * least


def test_the_tables_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    plan.main("--gpus", "16")
    told = capsys.readouterr().out
    assert "20,000,000 documents, 10,000 shards" in told
    assert "8x7B mixture: 46.70B parameters, 12.75B a token; 16 GPUs" in told
    assert told.count("ZeRO 3") == 2
