"""A recipe of a tiny model, its inputs, and studies over it that train in this process unless told otherwise."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from small_run import inputs_of, settings

from forge_dagster.recipe import Recipe
from forge_dagster.search import trial, trials
from forge_dagster.search.crew import Crew
from forge_dagster.search.space import StudyConfig
from forge_dagster.search.trial import Measured, Piece
from forge_dagster.stage import LocalContext, Report, local_context
from forge_dagster.study import Study

STEPS = 12
FULL = 128 * STEPS


class Here(Crew):
    """A crew of one, which is this process."""

    trained: int = 0

    def __enter__(self) -> "Here":
        return self

    def __exit__(self, *_: object) -> None: ...

    def train(self, pieces: Sequence[Piece], tell: Callable[[int, Measured], None]) -> None:
        for place, piece in enumerate(pieces):
            measured = trial.train(piece)
            assert measured is not None, "nobody stops it"
            Here.trained += 1
            tell(place, measured)


@dataclass
class Laboratory:
    """Runs studies over the tiny recipe."""

    root: Path
    inputs: Mapping[str, Path]
    recipe: Recipe
    contexts: dict[str, LocalContext] = field(default_factory=dict)

    def study(self, **changes: Any) -> Study:
        return Study.model_validate(
            {
                "name": "tiny", "recipe": "tiny", "seed": 1, "metric": "validation_bits_per_byte", "trials": 8,
                "space": {"base.muon_lr": {"low": 0.0005, "high": 0.5, "log": True}}, "operations": None,
                "proxy": {"tokens": FULL, "width": 16}, "batch": 2, "pieces": 3, "sampler": "tpe", "pruner": "median",
            } | changes
        )  # fmt: skip

    def context(self, name: str) -> LocalContext:
        return self.contexts.setdefault(name, local_context(self.root / name))

    def run(self, name: str, study: Study) -> tuple[Path, Report]:
        """Run a study; a second call by the same name goes on in the work folder of the first."""
        out = self.root / name / "out"
        out.mkdir(exist_ok=True, parents=True)
        config = StudyConfig(study=study, recipe=self.recipe)
        report = trials.STAGE.run(self.inputs, config, out, self.context(name))
        assert all(finding.passed for finding in trials.STAGE.check(out))
        return out, report


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One thread, no long products to measure the machine by, and no processes."""
    monkeypatch.setenv("FORGE_THREADS", "1")
    monkeypatch.setattr("forge_dagster.training.cost.PEAK_SIZES", (32,))
    monkeypatch.setattr(trials, "Crew", Here)
    return


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    given = settings(steps=4 * STEPS).model_dump(exclude_none=True)
    return Recipe.model_validate(
        {
            "name": "tiny", "description": "d", "seed": 3, "tokenizer": {"kind": "byte-bpe", "vocab_size": 300},
            "model": {
                "architecture": "qwen3", "hidden_size": 32, "intermediate_size": 32, "layers": 1, "heads": 2,
                "kv_heads": 2, "head_dim": 16, "tie_embeddings": False, "rope_theta": 10_000.0,
            },
            "stages": [{"stage": "base", "settings": given}],
            "gates": [{"metric": "validation.bits_per_byte", "maximum": 20.0}],
        }
    )  # fmt: skip


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return inputs_of(tmp_path_factory.mktemp("inputs"), documents=30)


@pytest.fixture
def laboratory(tmp_path: Path, inputs: Mapping[str, Path], recipe: Recipe) -> Laboratory:
    return Laboratory(tmp_path, inputs, recipe)
