"""`forge bisect` without its words: what two releases differ by, what looking for it costs, and what it finds."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Literal

from forge_dagster.errors import UserError
from forge_dagster.evaluation.measure import Measuring
from forge_dagster.evaluation.score import aggregate
from forge_dagster.evaluation.statistics import ALPHA
from forge_dagster.home import Home
from forge_dagster.provenance.record import Record
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.proxy import Progress, Proxies, asked, shortened
from forge_dagster.recipe import Recipe
from forge_dagster.regression import Corpora, Culprit, Part, Seen, culprits
from forge_dagster.stage import FrozenModel

BASELINES = 3
"""Proxies of the old documents, alike but for the seed: how far these lie apart is the noise."""
SAME = ("seed", "tokenizer", "model", "weights", "stages")
"""What must be equal in two releases, so that documents alone can explain a difference."""


class Tried(FrozenModel):
    """One proxy: how many changes of which sources were made, and how much worse that made it."""

    sources: tuple[str, ...]
    changes: int
    drop: float
    visible: bool


class Verdict(FrozenModel):
    """What the search found; `floor` is the drop that noise makes with a chance of 5 %."""

    metric: str
    verdict: Literal["explained", "no difference that can be seen"]
    drop: float
    floor: float
    baseline: float
    proxies: int
    culprits: tuple[Culprit, ...]
    tried: tuple[Tried, ...]


class Search:
    """Two releases of one recipe, and the search for the changes that made the second worse."""

    def __init__(self, home: Home, old: Record, new: Record, metric: str | None, tokens: int | None) -> None:
        """Raises UserError if the releases are not of one recipe, or have the same documents."""
        self.store = ArtifactStore(home.artifacts)
        recipes = [Recipe.model_validate(each.identity.config["recipe"]) for each in (old, new)]
        differ = [name for name in SAME if getattr(recipes[0], name) != getattr(recipes[1], name)]
        if differ:
            raise UserError(
                f"the recipes of {old.key} and {new.key} differ in {', '.join(differ)}",
                rule="documents alone may differ, or they do not explain a difference",
                mend="name two releases of one recipe with the same settings",
            )
        self.corpora = Corpora(*(self._input(each, "corpus") for each in (old, new)))
        if not self.corpora.changes:
            raise UserError(
                "both releases have the same training documents",
                rule="changes of documents are looked through",
                mend="name two releases with different documents",
            )
        card = self.store.record(*_artifact(new, "scorecard"))
        self.metric = metric or recipes[1].gates[0].metric
        first = recipes[1].stages[0].settings
        wanted = tokens or max(int(first.get("tokens", 0)) // 4, int(first.get("batch_tokens", 0)))
        self.recipe = shortened(recipes[1], wanted, self.metric)
        self.tokens, self.whole_tokens = int(self.recipe.stages[0].settings["tokens"]), int(first["tokens"])
        measures = {
            name: self._input(card, name)
            for name, ref in card.identity.inputs.items()
            if ref.key is not None and not name.startswith("checkpoint/")
        }
        self._inputs = {name: measures[name] for name in ("corpus", "instructions")}
        # One tokenizer for all: the old one, which knows no word of the changes.
        self._inputs["tokenizer"] = self._input(old, "tokenizer")
        if self.recipe.weights is not None:
            self._inputs["weights"] = self._input(old, "weights")
        config = {name: card.identity.config[name] for name in Measuring.model_fields}
        config["own_tasks"] = ()  # their data is no artifact: what was asked then need not be there any more
        self.folder = home.cache / "bisect"
        self.asked = asked(self.metric, measures, Measuring.model_validate(config), self.folder / "asked")

    def run(self, most: int, progress: Callable[[str], Progress]) -> Verdict:
        """Look with at most `most` proxies; `progress` gets what a proxy is made of and returns its listener."""
        proxies = Proxies(self.recipe, self._inputs, self.asked, self.folder)
        seed, how, tried = self.recipe.seed, self.asked.how, list[Tried]()

        def value(changes: Part, at: int, said: str) -> float:
            results = proxies.results(self.corpora.with_changes(changes), at, progress(said))
            return aggregate(results, how).value

        baselines = [value([], seed + number, f"old documents, seed {seed + number}") for number in range(BASELINES)]
        floor = seed_noise(baselines)

        def drop_of(changes: Part) -> Seen | None:
            if BASELINES + len(tried) >= most:
                return None
            sources = tuple(sorted({change.source for change in changes}))
            worse = value(changes, seed, f"{len(changes)} changes of {', '.join(sources)}") - fmean(baselines)
            drop = -worse if how.better == "higher" else worse
            seen = Seen(drop=drop, visible=drop > floor)
            tried.append(Tried(sources=sources, changes=len(changes), **seen.model_dump()))
            return seen

        whole = drop_of(self.corpora.changes)
        assert whole is not None, "the budget holds the proxy of all changes"
        named = culprits(list(self.corpora.by_source().values()), whole, drop_of) if whole.visible else []
        return Verdict(
            metric=self.metric,
            verdict="explained" if named else "no difference that can be seen",
            drop=whole.drop,
            floor=floor,
            baseline=fmean(baselines),
            proxies=BASELINES + len(tried),
            culprits=tuple(named),
            tried=tuple(tried),
        )

    def _input(self, of: Record, name: str) -> Path:
        return self.store.content(*_artifact(of, name))


def _artifact(of: Record, name: str) -> tuple[str, str]:
    """Key and digest of an input that is an artifact."""
    ref = of.identity.inputs[name]
    assert ref.key is not None, f"{name} is an artifact"
    return ref.key, ref.digest


def seed_noise(values: Sequence[float]) -> float:
    """The drop that one more training exceeds with a chance of ALPHA, if seeds alone made these values differ.

    A one-sided prediction interval of Student's t: three trainings tell little of their own spread, and it says so.
    """
    from scipy.stats import t

    count = len(values)
    return float(t.ppf(1 - ALPHA, count - 1)) * stdev(values) * math.sqrt(1 + 1 / count)
