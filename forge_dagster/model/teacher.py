"""The model that another one learns from: a checkpoint of ours or open weights, with the student's tokenizer."""

import json
from pathlib import Path

from transformers import PreTrainedModel

from forge_dagster.errors import WeightsError
from forge_dagster.model.folder import load_model
from forge_dagster.model.start import starting_model
from forge_dagster.tokens.adopt import adopt
from forge_dagster.tokens.inherited import ORIGINS


def load_teacher(teacher: Path, tokenizer: Path) -> PreTrainedModel:
    """Load a teacher in evaluation mode. Raises WeightsError unless its tokens are those of `tokenizer`.

    Open weights do as a teacher if `tokenizer` was inherited from them or from others of the same vocabulary.
    """
    if (teacher / "weights.json").is_file():
        if not _inherits(tokenizer, teacher):
            raise _other(teacher, "was not inherited from a vocabulary like the teacher's")
        return starting_model(teacher, tokenizer).eval()
    if (teacher / "tokenizer.json").read_bytes() != (tokenizer / "tokenizer.json").read_bytes():
        raise _other(teacher, "is not the teacher's")
    return load_model(teacher)


def _inherits(tokenizer: Path, weights: Path) -> bool:
    """Whether the tokenizer is the one of the weights, but for tokens that it adds behind."""
    if not (tokenizer / ORIGINS).is_file():
        return False
    adopted = adopt(json.loads((weights / "tokenizer.json").read_bytes()))
    ours = json.loads((tokenizer / "tokenizer.json").read_bytes())["model"]
    origins = json.loads((tokenizer / ORIGINS).read_bytes())
    theirs = adopted.tokenizer["model"]
    return (
        origins[: len(adopted.origins)] == adopted.origins
        and ours["merges"][: len(theirs["merges"])] == theirs["merges"]
        and all(ours["vocab"].get(token) == number for token, number in theirs["vocab"].items())
    )


def _other(teacher: Path, problem: str) -> WeightsError:
    return WeightsError(
        f"the teacher in {teacher} has another tokenizer: the student's {problem}",
        rule="teacher and student give their probabilities to the same tokens",
        mend="choose a teacher of a recipe with the same tokenizer, or open weights of the student's family",
    )
