"""What a post-training has spent: operations of every pass of its models, generation too."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from transformers import TrainerCallback

from forge_dagster.stage import StageContext
from forge_dagster.training.cost import COST, Cost, read_cost, write_cost

FORMULA = "2 N a token forward and 4 N backward, as counted; attention left out"


class Spent(TrainerCallback):
    """Counts from the tokens that go into the embeddings of each model; the count outlives an interruption.

    N are the weights that a token is multiplied by. What an interruption takes back and is done again counts once or
    twice, as the last checkpoint knows. It is what was spent, so it stands beside the content.
    """

    def __init__(self, models: Sequence[Any], context: StageContext) -> None:
        self.context = context
        self.tokens, self.operations = read_cost(context.work) if (context.work / COST).is_file() else (0, 0)
        for model in models:
            if model is not None:
                count = partial(self._count, Cost(model).parameters)
                model.get_input_embeddings().register_forward_pre_hook(count)

    def _count(self, parameters: int, embeddings: torch.nn.Module, given: tuple[Any, ...]) -> None:
        """An adapter's forward calls no hook of the model in it, but every pass looks its tokens up."""
        learns = torch.is_grad_enabled() and embeddings.training
        self.tokens += given[0].numel()
        self.operations += (6 if learns else 2) * parameters * given[0].numel()

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        write_cost(self.context.work, tokens=self.tokens, operations=self.operations, formula=FORMULA)

    def write(self) -> None:
        """Write the count beside the content."""
        write_cost(self.context.beside, tokens=self.tokens, operations=self.operations, formula=FORMULA)
