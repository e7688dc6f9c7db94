"""The loop learns, resumes bit for bit wherever it is stopped, and refuses what cannot work."""

import hashlib
import math
import shutil
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from forge_dagster.errors import DataError, IntegrityError, InterruptedRun, RecipeError, StorageError
from forge_dagster.model.build import build_model
from forge_dagster.recipe import ModelSpec
from forge_dagster.stage import LocalContext, local_context
from forge_dagster.tokens.order import Order, Span
from forge_dagster.tokens.reader import open_documents
from forge_dagster.training import checkpoint, guard
from forge_dagster.training.execution import Execution
from forge_dagster.training.learner import Learner
from forge_dagster.training.log import read
from forge_dagster.training.loop import Outcome, pretrain
from forge_dagster.training.settings import Settings

PLAIN = Execution(
    dtype="float32", threads=1, device="cpu", micro_batch_tokens=8192, compiled=False, recompute=False,
    processes=1, hosts=1, zero_stage=0,
)  # fmt: skip


@dataclass
class StoppedContext(LocalContext):
    """Is told to stop once `after` steps are done."""

    after: int = field(default=0, kw_only=True)

    def cancelled(self) -> bool:
        return self.seen[-1][0] >= self.after


def _context(folder: Path, *, stop_after: int | None = None) -> LocalContext:
    plain = local_context(folder)
    return plain if stop_after is None else StoppedContext(plain.work, plain.beside, plain.cache, after=stop_after)


def _train(
    spec: ModelSpec,
    settings: Settings,
    shards: Path,
    context: LocalContext,
    *,
    identity: dict[str, str] | None = None,
    **execution: object,
) -> tuple[str, Outcome]:
    model = build_model(spec, vocab_size=300, positions=settings.sequence_length, seed=1)
    outcome = pretrain(
        Learner(model, open_documents(shards, "train"), settings, replace(PLAIN, **execution)),
        seed=1,
        identity=identity or {"seed": "1"},
        context=context,
        validate=lambda: {"s": 1.0},
    )
    weights = save({name: parameter.detach() for name, parameter in model.named_parameters()})
    return hashlib.sha256(weights).hexdigest(), outcome


def _losses(outcome: Outcome) -> list[tuple[int, float | None, float | None]]:
    return [(row["step"], row.get("loss"), row.get("grad_norm")) for row in read(outcome.log)]


def _spoil(monkeypatch: pytest.MonkeyPatch, steps: Collection[int]) -> None:
    """Let the gradients of these batches, known by their rows, hold a NaN."""
    plain = Learner.gradients

    def gradients(self: Learner, rows: list[list[Span]]) -> tuple[float, float]:
        loss, norm = plain(self, rows)
        order = Order(1, self.documents.lengths, self.settings.sequence_length, self.settings.rows)
        if any(order.batch(step) == rows for step in steps):
            next(self.model.parameters()).grad[0, 0] = math.nan
            return loss, math.nan
        return loss, norm

    monkeypatch.setattr(Learner, "gradients", gradients)


@pytest.mark.parametrize(("dtype", "threads"), [("float32", 1), ("bfloat16", 2)])
def test_stopped_and_resumed_is_undisturbed_bit_for_bit(
    dense_or_mixture: ModelSpec, settings: Settings, shards_folder: Path, tmp_path: Path, dtype: str, threads: int
) -> None:
    torch.set_num_threads(threads)
    straight, outcome = _train(dense_or_mixture, settings, shards_folder, _context(tmp_path / "a"), dtype=dtype)
    for stop in (1, 5, 11):
        with pytest.raises(InterruptedRun, match=f"after step {stop} of 12"):
            _train(dense_or_mixture, settings, shards_folder, _context(tmp_path / "b", stop_after=stop), dtype=dtype)
    torch.manual_seed(12345)
    resumed, again = _train(dense_or_mixture, settings, shards_folder, _context(tmp_path / "b"), dtype=dtype)
    assert resumed == straight
    assert _losses(again) == _losses(outcome)
    assert (again.steps, again.updates, again.operations) == (12, 12, outcome.operations)


def test_a_killed_run_goes_on_from_the_checkpoint_before_a_corrupt_one(
    spec: ModelSpec, settings: Settings, shards_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings.model_copy(update={"checkpoint_every_steps": 3})
    straight, outcome = _train(spec, settings, shards_folder, _context(tmp_path / "a"))

    calls = iter(range(100))

    def killed(self: Learner, rows: list[list[Span]]) -> tuple[float, float]:
        if next(calls) == 8:
            raise KeyboardInterrupt
        return gradients(self, rows)

    gradients = Learner.gradients
    monkeypatch.setattr(Learner, "gradients", killed)
    with pytest.raises(KeyboardInterrupt):
        _train(spec, settings, shards_folder, _context(tmp_path / "b"))
    monkeypatch.undo()
    kept = checkpoint.checkpoints(tmp_path / "b" / "work" / "checkpoints")
    assert [checkpoint.step_of(path) for path in kept] == [8, 6, 4, 0]
    shutil.rmtree(kept.pop(0))
    with (kept[0] / "optimizer.safetensors").open("r+b") as file:
        file.seek(-2, 2)
        file.write(b"\x7f\x7f")

    context = _context(tmp_path / "b")
    resumed, again = _train(spec, settings, shards_folder, context)
    assert any("step-000000006 is corrupt" in text for _, _, text in context.seen)
    assert resumed == straight
    assert _losses(again) == _losses(outcome)


def test_the_loss_falls(dense_or_mixture: ModelSpec, settings: Settings, shards_folder: Path, tmp_path: Path) -> None:
    settings = settings.model_copy(update={"tokens": 128 * 60})
    _, outcome = _train(dense_or_mixture, settings, shards_folder, _context(tmp_path))
    losses = [loss for _, loss, _ in _losses(outcome)]
    assert losses[0] == pytest.approx(math.log(300), rel=1e-4)
    assert np.mean(losses[-5:]) < 2.5


def test_routers_learn_to_balance_before_their_experts_say_anything(settings: Settings, shards_folder: Path) -> None:
    """Experts start silent, so the first gradient of a router is that of the load-balancing loss alone."""
    spec = ModelSpec(
        architecture="mixtral", hidden_size=32, intermediate_size=48, layers=2, heads=2, kv_heads=1, head_dim=16,
        tie_embeddings=False, rope_theta=10_000.0, experts=4, experts_per_token=2,
    )  # fmt: skip
    model = build_model(spec, vocab_size=300, positions=32, seed=1)
    Learner(model, open_documents(shards_folder, "train"), settings, PLAIN).gradients([[Span(0, 0, 32)]])
    assert all(layer.mlp.gate.weight.grad.any() for layer in model.model.layers)


def test_seconds_make_checkpoints_where_steps_do_not(
    spec: ModelSpec, settings: Settings, shards_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr(checkpoint, "MOST_TIME_SAVING", 1e9)
    _train(spec, settings, shards_folder, _context(tmp_path))
    kept = checkpoint.checkpoints(tmp_path / "work" / "checkpoints")
    assert [checkpoint.step_of(path) for path in kept] == [
        11,
        10,
        8,
        4,
        0,
    ]  # 0 is where step 4, which outlives the training, goes back to


def test_too_few_or_too_short_documents_are_refused(
    spec: ModelSpec, settings: Settings, shards_folder: Path, tmp_path: Path
) -> None:
    documents = open_documents(shards_folder, "train")
    long = documents.longest + 1
    wide = settings.model_copy(update={"sequence_length": long, "batch_tokens": long})
    with pytest.raises(DataError, match=f"sequence_length = {long}, the longest document has {long - 1} tokens"):
        _train(spec, wide, shards_folder, _context(tmp_path))
    many = settings.model_copy(update={"batch_tokens": 32_000, "tokens": 32_000})
    with pytest.raises(DataError, match=f"batch_tokens = 32000, the training documents have {documents.tokens} tokens"):
        _train(spec, many, shards_folder, _context(tmp_path))


def test_a_step_that_is_not_finite_is_skipped_and_counted(
    spec: ModelSpec, settings: Settings, shards_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _spoil(monkeypatch, {1, 2})
    _, outcome = _train(spec, settings, shards_folder, _context(tmp_path))
    assert outcome.guard.skipped == [1, 2]
    assert outcome.updates == 10
    rows = read(outcome.log)
    assert [row["step"] for row in rows if "grad_norm" not in row] == [1, 2]
    assert [row["skipped"] for row in rows] == [0, 1, 1] + [0] * 9


def test_too_many_skips_go_back_and_a_resumed_run_decides_alike(
    dense_or_mixture: ModelSpec,
    settings: Settings,
    shards_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = settings.model_copy(update={"tokens": 128 * 30})
    _spoil(monkeypatch, range(9, 15))
    straight, outcome = _train(dense_or_mixture, settings, shards_folder, _context(tmp_path / "a"))
    assert outcome.guard.rewinds == [[15, 8]]
    assert outcome.updates == 30 - (15 - 8)
    for stop in (8, 12, 15, 16, 21):
        with pytest.raises(InterruptedRun):
            _train(dense_or_mixture, settings, shards_folder, _context(tmp_path / "b", stop_after=stop))
    resumed, again = _train(dense_or_mixture, settings, shards_folder, _context(tmp_path / "b"))
    assert resumed == straight
    assert again.guard == outcome.guard
    assert _losses(again) == _losses(outcome)


def test_the_weights_after_a_rewind_are_those_of_the_anchor(
    spec: ModelSpec, settings: Settings, shards_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings.model_copy(update={"tokens": 128 * 30})
    _spoil(monkeypatch, range(9, 15))
    with pytest.raises(InterruptedRun):
        _train(spec, settings, shards_folder, _context(tmp_path, stop_after=15))
    folder = tmp_path / "work" / "checkpoints"
    after, anchor = checkpoint.load(folder, 15), checkpoint.load(folder, 8)
    assert all(torch.equal(after.tensors["model"][name], value) for name, value in anchor.tensors["model"].items())
    assert after.tensors["optimizer"].keys() == anchor.tensors["optimizer"].keys()


def test_a_training_that_diverges_again_and_again_is_given_up(
    spec: ModelSpec, settings: Settings, shards_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings.model_copy(update={"tokens": 128 * 30})
    monkeypatch.setattr(Learner, "gradients", lambda *_: (math.nan, math.nan))
    with pytest.raises(RecipeError, match=r"6 steps up to step 23 were skipped.*after 3 rewinds to steps \[0, 0, 12\]"):
        _train(spec, settings, shards_folder, _context(tmp_path / "a"))
    short = settings.model_copy(update={"tokens": 128 * 12})
    with pytest.raises(RecipeError, match="0 of 12 steps moved the weights"):
        _train(spec, short, shards_folder, _context(tmp_path / "b"))


def test_a_corrupt_anchor_is_named(
    spec: ModelSpec, settings: Settings, shards_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings.model_copy(update={"tokens": 128 * 30})
    _spoil(monkeypatch, range(9, 15))
    with pytest.raises(InterruptedRun):
        _train(spec, settings, shards_folder, _context(tmp_path, stop_after=12))
    (tmp_path / "work" / "checkpoints" / "step-000000008" / "model.safetensors").write_bytes(b"")
    with pytest.raises(IntegrityError, match=r"step-000000008 is corrupt \(model.safetensors differs\)"):
        _train(spec, settings, shards_folder, _context(tmp_path))


def test_a_checkpoint_of_another_training_is_refused_and_says_in_what(
    spec: ModelSpec, settings: Settings, shards_folder: Path, tmp_path: Path
) -> None:
    one = {"seed": "1", "data": "a"}
    with pytest.raises(InterruptedRun):
        _train(spec, settings, shards_folder, _context(tmp_path, stop_after=2), identity=one)
    with pytest.raises(IntegrityError, match=r"of another data \(a, now b\)"):
        _train(spec, settings, shards_folder, _context(tmp_path), identity=one | {"data": "b"})


def test_no_room_for_checkpoints_is_told_before_the_first_step(
    spec: ModelSpec, settings: Settings, shards_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Disk:
        free = 100_000

    monkeypatch.setattr(checkpoint.shutil, "disk_usage", lambda _: Disk)
    context = _context(tmp_path)
    with pytest.raises(StorageError, match=r"has 0 MB free, the checkpoints of this training take 3 MB more"):
        _train(spec, settings, shards_folder, context)
    assert not context.seen


@pytest.mark.parametrize("micro_batch_tokens", [32, 64, 96])
def test_a_batch_in_parts_is_the_batch(
    spec: ModelSpec, settings: Settings, shards_folder: Path, tmp_path: Path, micro_batch_tokens: int
) -> None:
    _, whole = _train(spec, settings, shards_folder, _context(tmp_path / "a"))
    _, parts = _train(spec, settings, shards_folder, _context(tmp_path / "b"), micro_batch_tokens=micro_batch_tokens)
    for (_, loss, norm), (_, other, norm_other) in zip(_losses(whole), _losses(parts), strict=True):
        assert other == pytest.approx(loss, rel=1e-4)
        assert norm_other == pytest.approx(norm, rel=1e-2)


def test_activations_computed_again_give_equal_bits(
    dense_or_mixture: ModelSpec, settings: Settings, shards_folder: Path, tmp_path: Path
) -> None:
    kept, _ = _train(dense_or_mixture, settings, shards_folder, _context(tmp_path / "a"))
    again, _ = _train(dense_or_mixture, settings, shards_folder, _context(tmp_path / "b"), recompute=True)
    assert again == kept


def test_a_large_gradient_is_clipped(spec: ModelSpec, settings: Settings, shards_folder: Path) -> None:
    documents = open_documents(shards_folder, "train")
    norms = []
    for clip in (1e9, 0.01):
        model = build_model(spec, vocab_size=300, positions=32, seed=1)
        learner = Learner(model, documents, settings.model_copy(update={"clip_norm": clip}), PLAIN)
        _, before = learner.gradients([[Span(0, 0, 32)]])
        after = torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
        norms.append((before, float(after)))
    assert norms[0][1] == pytest.approx(norms[0][0])
    assert norms[1] == (norms[0][0], pytest.approx(0.01, rel=1e-5))


def test_each_step_leaves_its_figures(
    dense_or_mixture: ModelSpec, settings: Settings, shards_folder: Path, tmp_path: Path
) -> None:
    context = _context(tmp_path)
    _, outcome = _train(dense_or_mixture, settings, shards_folder, context)
    rows = read(outcome.log)
    wanted = {"step", "tokens", "loss", "grad_norm", "lr", "skipped", "tokens_per_second", "flops", "peak_memory_bytes"}
    assert all(wanted <= row.keys() for row in rows)
    assert [row["step"] for row in rows if "validation/s" in row] == [2, 5, 8]
    assert rows[-1]["flops"] == outcome.operations
    routers = [row["router"] for row in rows if "router" in row]
    if dense_or_mixture.experts is None:
        assert not routers
        return
    assert len(routers) == 3
    for layer in routers[-1]:
        assert sum(layer["shares"]) == pytest.approx(1)
        assert 0.5 < layer["entropy"] <= 1
        assert layer["dropped"] == 0
    assert "s 1.000 bits/byte" in context.seen[-1][2]


def test_a_spike_is_skipped(
    spec: ModelSpec, settings: Settings, shards_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "WINDOW", 8)
    plain, calls = Learner.gradients, iter(range(100))

    def gradients(self: Learner, rows: list[list[Span]]) -> tuple[float, float]:
        loss, norm = plain(self, rows)
        return (loss * 1000, norm) if next(calls) == 9 else (loss, norm)

    monkeypatch.setattr(Learner, "gradients", gradients)
    _, outcome = _train(spec, settings, shards_folder, _context(tmp_path))
    assert outcome.guard.skipped == [9]
