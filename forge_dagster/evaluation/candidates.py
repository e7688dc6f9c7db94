"""The models that a scorecard scores: the untrained one, the one that serves, and each checkpoint of the recipe."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from forge_dagster.errors import VerdictError
from forge_dagster.evaluation.measure import Subject
from forge_dagster.evaluation.score import scored_digests
from forge_dagster.provenance.canonical import fingerprint
from forge_dagster.provenance.files import content_digest, list_files, sha256_file
from forge_dagster.recipe import INCUMBENT, UNTRAINED, ModelSpec

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Candidate(NamedTuple):
    """A model to score: digest of what decides its results, how it is loaded, folder of its tokenizer."""

    digest: str
    load: Callable[[], "PreTrainedModel"]
    tokenizer: Path


def load_subject(name: str, candidate: Candidate) -> Subject:
    """The model with its tokenizer. Raises VerdictError if it knows fewer tokens than this gives."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(candidate.tokenizer, local_files_only=True)
    model = candidate.load().eval()
    if len(tokenizer) > model.config.vocab_size:
        raise VerdictError(
            f"{name}: the tokenizer has {len(tokenizer)} tokens, the model {model.config.vocab_size}",
            rule="a model is scored with the tokenizer it was trained on",
            mend="make the checkpoint again",
        )
    return Subject(model=model, tokenizer=tokenizer, folder=candidate.tokenizer)


def places(inputs: Mapping[str, Path], checkpoints: Sequence[str]) -> dict[str, str]:
    """Input name of each checkpoint with files, in order."""
    incumbent = {INCUMBENT: INCUMBENT} if INCUMBENT in inputs else {}
    return {**incumbent, **{name: f"checkpoint/{name}" for name in checkpoints}}


def candidates_of(
    inputs: Mapping[str, Path], checkpoints: Sequence[str], model: ModelSpec | None, seed: int
) -> dict[str, Candidate]:
    """By name: the model as the recipe found it, the one that serves if there is one, each checkpoint in order."""
    found = {UNTRAINED: _untrained(inputs, checkpoints[0], model, seed)}
    for name, place in places(inputs, checkpoints).items():
        folder = inputs[place]
        _has_tokenizer(name, folder, inputs["tokenizer"], same=name != INCUMBENT)
        found[name] = candidate_in(folder)
    return found


def candidate_in(folder: Path) -> Candidate:
    """The model of a checkpoint's folder, with its tokenizer."""
    from forge_dagster.model.folder import load_model

    return Candidate(fingerprint(scored_digests(folder)), partial(load_model, folder), folder)


def _untrained(inputs: Mapping[str, Path], first: str, model: ModelSpec | None, seed: int) -> Candidate:
    from forge_dagster.model.build import build_model
    from forge_dagster.model.start import starting_model

    tokenizer = inputs["tokenizer"]
    identity: dict[str, Any] = {"tokenizer": sha256_file(tokenizer / "tokenizer.json")}
    if model is None:
        identity |= {"weights": content_digest(list_files(inputs["weights"]))}
        return Candidate(fingerprint(identity), lambda: starting_model(inputs["weights"], tokenizer), tokenizer)
    shape = json.loads((inputs[f"checkpoint/{first}"] / "config.json").read_bytes())
    sizes = {"vocab_size": shape["vocab_size"], "positions": shape["max_position_embeddings"], "seed": seed}
    identity |= {"model": model.model_dump(mode="json"), **sizes}
    return Candidate(fingerprint(identity), lambda: build_model(model, **sizes), tokenizer)


def _has_tokenizer(name: str, folder: Path, tokenizer: Path, *, same: bool) -> None:
    path = folder / "tokenizer.json"
    if not path.is_file() or (same and path.read_bytes() != (tokenizer / "tokenizer.json").read_bytes()):
        raise VerdictError(
            f"tokenizer.json of the checkpoint {name} is not the recipe's",
            rule="a model is scored with the tokenizer it was trained on",
            mend="make the checkpoint again",
        )
