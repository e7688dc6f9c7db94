"""The pre-training loop: packed batches in a computed order, Muon and AdamW, checkpoints that resume bit for bit."""

import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel
from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

from forge_dagster.errors import DataError, IntegrityError, InterruptedRun, RecipeError
from forge_dagster.stage import StageContext
from forge_dagster.tokens.reader import Documents
from forge_dagster.training import checkpoint
from forge_dagster.training.batches import Batch, pack
from forge_dagster.training.log import Log, Row
from forge_dagster.training.loss import head_cross_entropy
from forge_dagster.training.optimizer import Optimizers, Rates
from forge_dagster.training.order import order_of
from forge_dagster.training.precision import Dtype, autocast
from forge_dagster.training.schedule import warmup_stable_decay
from forge_dagster.training.settings import Settings

SECONDS_BETWEEN_CHECKPOINTS = 20.0
MOST_SKIPPED = 10
"""Steps without a finite loss or gradient after which a training is given up."""


@dataclass(frozen=True)
class Outcome:
    """How a training went; `log` is its CSV file in the work folder."""

    steps: int
    skipped: int
    log: Path


def pretrain(
    model: PreTrainedModel,
    documents: Documents,
    settings: Settings,
    *,
    seed: int,
    identity: str,
    dtype: Dtype,
    context: StageContext,
) -> Outcome:
    """Train `model` in place for settings.steps steps, from the newest checkpoint in context.work if there is one.

    `identity` names what is trained on what; a checkpoint of another identity is refused (IntegrityError).
    Raises InterruptedRun after saving when context.cancelled(); DataError if the documents are too few or too short;
    RecipeError if the loss stays non-finite.
    """
    check_data(documents, settings)
    order = order_of(documents, settings, seed)
    optimizers = Optimizers(
        model,
        Rates(settings.muon_lr, settings.embedding_lr, settings.head_lr, settings.norm_lr, settings.router_lr),
        momentum=settings.muon_momentum,
        weight_decay=settings.weight_decay,
        dtype=getattr(torch, dtype),
    )
    folder = context.work / "checkpoints"
    first, skipped = _resume(folder, model, optimizers, identity, settings, context)
    log = Log(context.work / "log.csv", steps_done=first)

    def save(steps_done: int) -> None:
        log.sync()
        tensors = {
            "model": {name: parameter.detach() for name, parameter in model.named_parameters()},
            "optimizer": optimizers.state(),
            "random": {"torch": torch.get_rng_state()},
        }
        checkpoint.save(folder, steps_done, tensors, {"identity": identity, "skipped": skipped})

    saved = time.monotonic()
    for step in range(first, settings.steps):
        begun = time.monotonic()
        share = warmup_stable_decay(
            step, settings.steps, warmup_share=settings.warmup_share, decay_share=settings.decay_share
        )
        loss = _backward(model, pack(documents, order.batch(step), settings.sequence_length), dtype)
        norm = float(torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None]))
        if math.isfinite(loss) and math.isfinite(norm):
            optimizers.step(share)
        else:
            optimizers.drop_gradients()
            skipped += 1
            _guard(skipped, step, settings)
        done = step + 1
        speed = settings.batch_tokens / (time.monotonic() - begun)
        log.add(Row(step, done * settings.batch_tokens, loss, share, norm, round(speed, 1)))
        context.progress(done, settings.steps, f"loss {loss:.3f}, {speed:,.0f} tokens/s")
        if context.cancelled() and done < settings.steps:
            save(done)
            log.close()
            raise InterruptedRun(
                f"training stopped after step {done} of {settings.steps}, which is saved",
                mend="run the same command to go on from there",
            )
        if _due(done, settings, time.monotonic() - saved) and done < settings.steps:
            save(done)
            saved = time.monotonic()
    log.close()
    return Outcome(steps=settings.steps, skipped=skipped, log=log.path)


def check_data(documents: Documents, settings: Settings) -> None:
    """Raise DataError unless the documents fill a row and a batch."""
    if documents.longest < settings.sequence_length:
        raise DataError(
            f"sequence_length = {settings.sequence_length}, the longest document has {documents.longest} tokens",
            rule="a context longer than any document is never filled by one",
            mend=f"lower sequence_length to {documents.longest} or less, or add longer documents",
        )
    if documents.tokens < settings.batch_tokens:
        raise DataError(
            f"batch_tokens = {settings.batch_tokens}, the training documents have {documents.tokens} tokens",
            rule="one batch reads no document twice",
            mend=f"lower batch_tokens to {documents.tokens} or less, or add documents",
        )


def _backward(model: PreTrainedModel, batch: Batch, dtype: Dtype) -> float:
    """Accumulate the gradients of one batch; return its loss in nats per token, the router's part left out."""
    config = model.config
    routed = hasattr(config, "router_aux_loss_coef")
    with autocast(dtype):
        output = model.base_model(
            input_ids=batch.inputs,
            position_ids=batch.positions,
            use_cache=False,  # with a cache, transformers does not look for packed documents
            **({"output_router_logits": True} if routed else {}),
        )
    hidden, head = output.last_hidden_state.flatten(0, 1), model.get_output_embeddings().weight
    loss = head_cross_entropy(hidden, head, batch.labels.flatten(), getattr(torch, dtype)) / batch.labels.numel()
    total = loss
    if routed:
        balance = load_balancing_loss_func(output.router_logits, config.num_local_experts, config.num_experts_per_tok)
        total = loss + config.router_aux_loss_coef * balance
    total.backward()
    return float(loss.detach())


def _resume(
    folder: Path,
    model: PreTrainedModel,
    optimizers: Optimizers,
    identity: str,
    settings: Settings,
    context: StageContext,
) -> tuple[int, int]:
    """Take up the newest sound checkpoint; return (steps done, steps skipped)."""
    found = checkpoint.load_newest(folder, tell=lambda text: context.progress(0, settings.steps, text))
    if found is None:
        return 0, 0
    if found.state["identity"] != identity:
        raise IntegrityError(
            f"the checkpoint in {folder} belongs to {found.state['identity']}, this training is {identity}",
            rule="a training resumes on the same model, settings and shards",
            mend="remove that folder to begin at step 0",
        )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(found.tensors["model"][name])
    optimizers.load(found.tensors["optimizer"])
    torch.set_rng_state(found.tensors["random"]["torch"])
    context.progress(found.step, settings.steps, f"going on after step {found.step}")
    return found.step, found.state["skipped"]


def _due(done: int, settings: Settings, seconds: float) -> bool:
    if settings.checkpoint_every_steps is not None:
        return done % settings.checkpoint_every_steps == 0
    return seconds >= SECONDS_BETWEEN_CHECKPOINTS


def _guard(skipped: int, step: int, settings: Settings) -> None:
    if skipped > MOST_SKIPPED:
        raise RecipeError(
            f"loss or gradient was not finite in {skipped} steps up to step {step}",
            rule=f"at most {MOST_SKIPPED} steps of a training are skipped",
            mend=f"lower the learning rates (muon_lr = {settings.muon_lr}, embedding_lr = {settings.embedding_lr})",
        )
