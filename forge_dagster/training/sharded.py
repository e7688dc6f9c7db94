"""Muon and AdamW over the flat partitions that ZeRO leaves to each process, and those partitions put together again."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim.adamw import adamw

from forge_dagster.training.optimizer import ADAM_BETAS, ADAM_EPSILON, Rates, kind_of, matrices_of, orthogonalise


@dataclass(frozen=True)
class Group:
    """Parameters of one kind and shape, in order; ZeRO lays them end to end and gives each process a part."""

    kind: str
    names: tuple[str, ...]
    shape: tuple[int, ...]
    matrices: tuple[int, int, int] | None
    """(matrices, rows, columns) of one parameter of Muon's."""

    @property
    def numel(self) -> int:
        """Numbers of one parameter."""
        return math.prod(self.shape)

    @property
    def entries(self) -> tuple[str, ...]:
        """Names of the optimizer's state, as the plain optimizers call it."""
        return ("momentum",) if self.kind == "muon" else ("exp_avg", "exp_avg_sq")


def groups_of(model: nn.Module) -> dict[Group, list[nn.Parameter]]:
    """Sort the parameters of a whole model into groups."""
    found: dict[tuple[Any, ...], list[tuple[str, nn.Parameter]]] = {}
    for name, parameter in model.named_parameters():
        kind = kind_of(name, parameter)
        matrices = matrices_of(name, parameter) if kind == "muon" else None
        found.setdefault((kind, tuple(parameter.shape), matrices), []).append((name, parameter))
    return {
        Group(kind, tuple(name for name, _ in items), shape, matrices): [parameter for _, parameter in items]
        for (kind, shape, matrices), items in found.items()
    }


class Layout:
    """Where ZeRO 1 and 2 put the numbers of a group: all parameters end to end, cut into equal parts, padded."""

    def whole(self, group: Group, part: Tensor) -> Tensor:
        """Put the parts of all processes together: [parameters, numbers of one]."""
        return _gathered(part).flatten()[: len(group.names) * group.numel].view(-1, group.numel)

    def each(self, group: Group, part: Tensor) -> Iterable[Tensor]:
        """Return the parameters of a group whole, one after another."""
        return self.whole(group, part)

    def part(self, group: Group, whole: Tensor, like: Tensor) -> Tensor:
        """Cut this process's part out of the whole; `like` is such a part."""
        size = like.numel()
        padded = whole.new_zeros(size * dist.get_world_size())
        padded[: whole.numel()] = whole.flatten()
        return padded[dist.get_rank() * size :][:size]

    def orthogonal(self, group: Group, update: Tensor, dtype: torch.dtype) -> Tensor:
        """Orthogonalise the matrices that this part holds, those at its edges with the numbers of the neighbours."""
        count, rows, columns = _matrices(group)
        size, every = rows * columns, count * len(group.names) * rows * columns
        begin = min(dist.get_rank() * update.numel(), every)
        end = min(begin + update.numel(), every)
        first, last = begin // size, -(-end // size)
        result = torch.zeros_like(update)
        cuts = range(update.numel(), every, update.numel())
        if any(cut % size for cut in cuts):  # the same for all processes
            update = self.whole(group, update).flatten()[first * size : last * size]
        else:
            update = update[: end - begin]
        if end > begin:
            found = orthogonalise(update.view(-1, rows, columns), dtype=dtype).flatten()
            result[: end - begin] = found[begin - first * size :][: end - begin]
        return result


class Sliced(Layout):
    """Where ZeRO 3 puts them: each parameter cut into equal parts by itself, padded; the parts end to end."""

    def whole(self, group: Group, part: Tensor) -> Tensor:
        world = dist.get_world_size()
        return _gathered(part).view(world, len(group.names), -1).transpose(0, 1).flatten(1)[:, : group.numel]

    def each(self, group: Group, part: Tensor) -> Iterable[Tensor]:
        # Never all at once: the experts of a large mixture are more than one process can hold.
        return (_gathered(one)[: group.numel] for one in part.view(len(group.names), -1))

    def part(self, group: Group, whole: Tensor, like: Tensor) -> Tensor:
        world, size = dist.get_world_size(), like.numel() // len(group.names)
        padded = whole.new_zeros(len(group.names), world * size)
        padded[:, : group.numel] = whole.view(-1, group.numel)
        return padded[:, dist.get_rank() * size :][:, :size].flatten()

    def orthogonal(self, group: Group, update: Tensor, dtype: torch.dtype) -> Tensor:
        """Give each process whole parameters, orthogonalise those, and give the parts back."""
        world, names = dist.get_world_size(), len(group.names)
        _, rows, columns = _matrices(group)
        size, each = update.numel() // names, -(-names // world)
        sent = update.new_zeros(world * each, size)
        sent[:names] = update.view(names, size)
        got = _exchanged(sent)  # [process that sent it, parameter of mine, part]
        whole = got.view(world, each, size).transpose(0, 1).reshape(each, world * size)
        mine = whole[: max(min(names - dist.get_rank() * each, each), 0), : group.numel]
        if len(mine):
            found = orthogonalise(mine.reshape(-1, rows, columns), dtype=dtype)
            mine.copy_(found.reshape(len(mine), -1))
        back = whole.view(each, world, size).transpose(0, 1)
        return _exchanged(back.reshape(world * each, size))[:names].flatten()


class Sharded(torch.optim.Optimizer):
    """What DeepSpeed steps once a group, on this process's part of the float32 weights.

    It does nothing unless `share` is set: a step that is skipped goes through DeepSpeed like any other.
    """

    def __init__(
        self,
        groups: dict[Group, list[nn.Parameter]],
        rates: Rates,
        layout: Layout,
        *,
        momentum: float,
        weight_decay: float,
        dtype: torch.dtype,
    ) -> None:
        entries = [{"params": items, "group": group} for group, items in groups.items()]
        super().__init__(entries, {"lr": 0.0})
        self.rates, self.layout, self.momentum, self.weight_decay = rates, layout, momentum, weight_decay
        self.dtype = dtype
        self.share: float | None = None
        self.clip = 1.0
        self.moments: dict[Group, dict[str, Tensor]] = {}

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        if self.share is None:
            return
        for entry in self.param_groups:
            for part in entry["params"]:
                self._step(entry["group"], part, getattr(self.rates, entry["group"].kind) * self.share)

    def _step(self, group: Group, part: Tensor, lr: float) -> None:
        moments, grad = self.moments.setdefault(group, {}), part.grad
        assert grad is not None
        if self.clip != 1.0:
            grad.mul_(self.clip)
        for name in group.entries:
            if name not in moments:
                moments[name] = torch.zeros_like(part)
        if group.kind == "muon":
            moments["momentum"].lerp_(grad, 1 - self.momentum)
            update = self.layout.orthogonal(group, grad.lerp(moments["momentum"], self.momentum), self.dtype)
            _, rows, columns = _matrices(group)
            part.mul_(1 - lr * self.weight_decay)
            part.add_(update, alpha=-lr * max(1.0, rows / columns) ** 0.5)
            return
        steps = moments.setdefault("step", torch.zeros(()))
        adamw(
            [part], [grad], [moments["exp_avg"]], [moments["exp_avg_sq"]], [], [steps],
            fused=True, amsgrad=False, beta1=ADAM_BETAS[0], beta2=ADAM_BETAS[1], lr=lr, weight_decay=0.0,
            eps=ADAM_EPSILON, maximize=False,
        )  # fmt: skip

    def whole_state(self) -> Iterator[tuple[str, Tensor]]:
        """Yield the state of every parameter under the names of the plain optimizers; all processes at once."""
        for group, moments in self.moments.items():
            optimizer = "muon" if group.kind == "muon" else "adamw"
            for entry in group.entries:
                for name, values in zip(group.names, self.layout.each(group, moments[entry]), strict=True):
                    yield f"{optimizer}/{name}/{entry}", values.view(group.shape)
            for name in group.names if "step" in moments else ():
                yield f"{optimizer}/{name}/step", moments["step"].clone()

    def load(self, state: Mapping[str, Tensor], parts: Sequence[Tensor]) -> None:
        """Take up a state under those names, and nothing else; `parts` are this process's weights, group by group."""
        self.moments.clear()
        for entry, part in zip(self.param_groups, parts, strict=True):
            group: Group = entry["group"]
            optimizer = "muon" if group.kind == "muon" else "adamw"
            if f"{optimizer}/{group.names[0]}/{group.entries[0]}" not in state:
                continue
            moments = self.moments.setdefault(group, {})
            for name in group.entries:
                whole = torch.stack([state[f"{optimizer}/{each}/{name}"].flatten() for each in group.names])
                moments[name] = self.layout.part(group, whole.to(part.device), part)
            if optimizer == "adamw":
                moments["step"] = state[f"adamw/{group.names[0]}/step"].clone()


def _gathered(part: Tensor) -> Tensor:
    parts = part.new_empty(dist.get_world_size() * part.numel())
    dist.all_gather_single(parts, part.contiguous())
    return parts


def _exchanged(rows: Tensor) -> Tensor:
    """Send each process its equal share of the rows, and return what all sent to this one."""
    got = torch.empty_like(rows)
    dist.all_to_all_single(got, rows)
    return got


def _matrices(group: Group) -> tuple[int, int, int]:
    assert group.matrices is not None, group.kind
    return group.matrices
