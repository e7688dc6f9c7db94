"""The model that serves, as an input: what the current release was made from, and not what would replace it.

It is no dependency of the graph, for it was made of the very artifacts that read it. A run takes it from the releases
that served when it began: what was promoted last, else what was current.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from forge_dagster.errors import IntegrityError
from forge_dagster.provenance.record import InputRef
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.stage import START, START_SHARDS, FrozenModel

INPUT, CHECKPOINT, CORPUS, TOKENIZER, SHARDS = "incumbent", "checkpoint", "corpus", "tokenizer", "token_shards"
BENCHMARK = "domain_benchmark"
FORMER = "former/corpus"
"""What the model was trained on before it was gone on from; with a number where there are several."""
CARRIED = ("previous", "adapter", START)
"""Inputs whose weights a checkpoint goes on from."""


class Serving(Protocol):
    """Which part of the model that serves is read."""

    @property
    def release(self) -> str:
        """Key of the release."""

    def inputs(self, store: ArtifactStore, current: str | None, digests: Mapping[str, str]) -> dict[str, InputRef]:
        """Inputs by name. `current` is the release that serves, if one does; `digests` of the graph's inputs by key."""


@dataclass(frozen=True, kw_only=True)
class Incumbent:
    """The checkpoint that a candidate is compared with.

    A release of the candidate itself is no incumbent of it: then the one that this release was judged against stands,
    so that a second run changes nothing.
    """

    release: str
    candidate: str
    with_former: bool = False
    """Whether the corpora are read too that the candidate learnt before it was gone on from."""

    def inputs(self, store: ArtifactStore, current: str | None, digests: Mapping[str, str]) -> dict[str, InputRef]:
        candidate = InputRef(key=self.candidate, digest=digests[self.candidate])
        former = former_corpora(store, candidate) if self.with_former else {}
        if current is None:
            return former
        made_from = store.record(self.release, current).identity.inputs
        same = made_from[CHECKPOINT].digest == candidate.digest
        found = made_from.get(INPUT) if same else made_from[CHECKPOINT]
        return former if found is None else {INPUT: found, **former}


@dataclass(frozen=True, kw_only=True)
class AsItServes:
    """What serves as it is: its checkpoint and corpus, and the corpus of the model that it replaced."""

    release: str

    def inputs(self, store: ArtifactStore, current: str | None, digests: Mapping[str, str]) -> dict[str, InputRef]:
        if current is None:
            return {}
        made_from = store.record(self.release, current).identity.inputs
        found = {f"serving/{name}": made_from[name] for name in (CHECKPOINT, CORPUS)}
        replaced = made_from.get(INPUT)
        former = version_of(store, replaced, CORPUS) if replaced else None
        return {**found, FORMER: former} if former else found


@dataclass(frozen=True, kw_only=True)
class Released:
    """The release that serves, and the corpus and the benchmark that it was judged on."""

    release: str

    def inputs(self, store: ArtifactStore, current: str | None, digests: Mapping[str, str]) -> dict[str, InputRef]:
        if current is None:
            return {}
        made_from = store.record(self.release, current).identity.inputs
        judged_on = {name: made_from[name] for name in (CORPUS, BENCHMARK)}
        return {"release": InputRef(key=self.release, digest=current), **judged_on}


@dataclass(frozen=True, kw_only=True)
class GoingOn:
    """The checkpoint `key` of the model that serves, for a training of `key` that goes on from it.

    On the very shards that this one was trained on, the training is that one again: it starts where it started, so
    that a second run changes nothing. With another tokenizer or shape nothing can be gone on from.
    """

    release: str
    key: str
    graph: Mapping[str, str]
    """Input name -> artifact key of the training."""
    config: FrozenModel
    """Configuration of a training that goes on; one from scratch keeps its own."""

    def inputs(self, store: ArtifactStore, current: str | None, digests: Mapping[str, str]) -> dict[str, InputRef]:
        if current is None:
            return {}
        serves = version_of(store, store.record(self.release, current).identity.inputs[CHECKPOINT], self.key)
        if serves is None:
            return {}
        identities = [record.identity for record in store.records(self.key, serves.digest)]
        for identity in identities:
            if all(identity.inputs[name].digest == digests[key] for name, key in self.graph.items()):
                return {name: ref for name, ref in identity.inputs.items() if name in (START, START_SHARDS)}
        identity = identities[0]
        same_tokens = identity.inputs[TOKENIZER].digest == digests[self.graph[TOKENIZER]]
        if not same_tokens or identity.config["model"] != self.config.model_dump(mode="json")["model"]:
            return {}
        return {START: serves, START_SHARDS: identity.inputs[SHARDS]}


def served(
    store: ArtifactStore, serving: Serving | None, current: str | None, digests: Mapping[str, str]
) -> dict[str, InputRef]:
    """What an order reads of the model that serves, by input name."""
    return {} if serving is None else serving.inputs(store, current, digests)


def version_of(store: ArtifactStore, ref: InputRef, key: str) -> InputRef | None:
    """The version of `key` that an artifact is made from, the nearest first; None if it was deleted.

    Not by way of a tokenizer, which may be older than the corpus it is used on.
    """
    waiting, seen = [ref], set()
    while waiting:
        ref = waiting.pop(0)
        if ref.key == key:
            return ref
        if ref.key is None or ref in seen or not store.stands(ref.key, ref.digest):
            continue
        seen.add(ref)
        waiting += [
            each for name, each in store.record(ref.key, ref.digest).identity.inputs.items() if name != TOKENIZER
        ]
    return None


def kept(store: ArtifactStore, key: str, releases: Mapping[str, str | None]) -> str | None:
    """Digest of the tokenizer `key` that the first release which serves was made with; None if none was."""
    for name, current in releases.items():
        ref = store.record(name, current).identity.inputs[TOKENIZER] if current else None
        if ref is not None and ref.key == key:
            return ref.digest
    return None


def former_corpora(store: ArtifactStore, checkpoint: InputRef) -> dict[str, InputRef]:
    """The corpora that the checkpoints learnt which this one goes on from, the newest first.

    Raises IntegrityError if one is no longer in the store: its documents are in the weights all the same.
    """
    found: list[InputRef] = []
    waiting = [checkpoint]
    while waiting:
        ref = waiting.pop(0)
        assert ref.key is not None, "weights are artifacts"
        inputs = store.record(ref.key, ref.digest).identity.inputs
        waiting += [each for name, each in inputs.items() if name in CARRIED]
        if START not in inputs:
            continue
        corpus = version_of(store, inputs[START], CORPUS)
        if corpus is None:
            raise IntegrityError(
                f"the corpus that {inputs[START].key}@{inputs[START].digest[:12]} learnt is not in the store",
                rule="a release states every document that its weights were trained on",
                mend="get it again with `forge pull`",
            )
        found += [corpus] if corpus not in found else []
    return {f"{FORMER}/{number}": ref for number, ref in enumerate(found)}
