"""The loop learns, resumes bit for bit wherever it is stopped, and refuses what cannot work."""

import hashlib
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save
from torch import nn

from forge_dagster.errors import DataError, IntegrityError, InterruptedRun, RecipeError
from forge_dagster.model.build import build_model
from forge_dagster.recipe import ModelSpec
from forge_dagster.stage import LocalContext, local_context
from forge_dagster.tokens.order import Span
from forge_dagster.tokens.reader import open_documents
from forge_dagster.training import checkpoint, loop
from forge_dagster.training.batches import pack
from forge_dagster.training.log import read
from forge_dagster.training.loop import Outcome, pretrain
from forge_dagster.training.settings import Settings


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
    spec: ModelSpec, settings: Settings, shards: Path, context: LocalContext, *, dtype: str = "float32", name: str = "x"
) -> tuple[str, Outcome]:
    model = build_model(spec, vocab_size=300, positions=settings.sequence_length, seed=1)
    documents = open_documents(shards, "train")
    outcome = pretrain(model, documents, settings, seed=1, identity=name, dtype=dtype, context=context)
    weights = save({name: parameter.detach() for name, parameter in model.named_parameters()})
    return hashlib.sha256(weights).hexdigest(), outcome


def _losses(outcome: Outcome) -> list[tuple[int, float, float]]:
    return [(row.step, row.loss, row.grad_norm) for row in read(outcome.log)]


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
    assert again == Outcome(steps=12, skipped=0, log=tmp_path / "b" / "work" / "log.csv")


def test_a_killed_run_goes_on_from_the_checkpoint_before_a_corrupt_one(
    spec: ModelSpec, settings: Settings, shards_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings.model_copy(update={"checkpoint_every_steps": 3})
    straight, outcome = _train(spec, settings, shards_folder, _context(tmp_path / "a"))

    def killed(*_: object, step: int = iter(range(100)).__next__, **__: object) -> float:  # type: ignore[assignment]
        if step() == 8:
            raise KeyboardInterrupt
        return backward(*_, **__)

    backward = loop._backward
    monkeypatch.setattr(loop, "_backward", killed)
    with pytest.raises(KeyboardInterrupt):
        _train(spec, settings, shards_folder, _context(tmp_path / "b"))
    monkeypatch.undo()
    kept = checkpoint.checkpoints(tmp_path / "b" / "work" / "checkpoints")
    assert [path.name for path in kept] == ["step-000000006", "step-000000003"]
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


def test_routers_learn_to_balance_before_their_experts_say_anything(shards_folder: Path) -> None:
    """Experts start silent, so the first gradient of a router is that of the load-balancing loss alone."""
    spec = ModelSpec(
        architecture="mixtral", hidden_size=32, intermediate_size=48, layers=2, heads=2, kv_heads=1, head_dim=16,
        tie_embeddings=False, rope_theta=10_000.0, experts=4, experts_per_token=2,
    )  # fmt: skip
    model = build_model(spec, vocab_size=300, positions=32, seed=1)
    documents = open_documents(shards_folder, "train")
    loop._backward(model, pack(documents, [[Span(0, 0, 32)]], 32), "float32")
    assert all(layer.mlp.gate.weight.grad.any() for layer in model.model.layers)


def test_seconds_make_checkpoints_where_steps_do_not(
    spec: ModelSpec, settings: Settings, shards_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    _train(spec, settings, shards_folder, _context(tmp_path))
    assert [path.name[-2:] for path in checkpoint.checkpoints(tmp_path / "work" / "checkpoints")] == ["11", "10"]


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
    poisoned = iter([False, True, True] + [False] * 9)

    def backward(model: nn.Module, *rest: object) -> float:
        loss = plain(model, *rest)
        if next(poisoned):
            next(model.parameters()).grad.fill_(math.inf)
        return loss

    plain = loop._backward
    monkeypatch.setattr(loop, "_backward", backward)
    _, outcome = _train(spec, settings, shards_folder, _context(tmp_path))
    assert outcome.skipped == 2
    norms = [norm for _, _, norm in _losses(outcome)]
    assert [math.isinf(norm) for norm in norms] == [False, True, True] + [False] * 9


def test_a_training_that_diverges_is_given_up(
    spec: ModelSpec, settings: Settings, shards_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "_backward", lambda *_: math.nan)
    with pytest.raises(RecipeError, match=r"not finite in 11 steps.*\n.*\n.*muon_lr = 0.02"):
        _train(spec, settings, shards_folder, _context(tmp_path))


def test_a_checkpoint_of_another_training_is_refused(
    spec: ModelSpec, settings: Settings, shards_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(InterruptedRun):
        _train(spec, settings, shards_folder, _context(tmp_path, stop_after=2), name="one")
    with pytest.raises(IntegrityError, match="belongs to one, this training is two"):
        _train(spec, settings, shards_folder, _context(tmp_path), name="two")
