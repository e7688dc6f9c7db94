"""Signing, withdrawing and certifying: once each, in the ledger, and what was withdrawn never serves again."""

import base64
import json
from typing import Any

import pytest
from lineage_store import commit

from benchmarks._small_release import KEY, document_id, small_release
from forge_dagster.bundle.serving import approve, promote
from forge_dagster.erasure.act import CERTIFICATE, MEANS, certify, sign, withdraw
from forge_dagster.erasure.plan import Plan
from forge_dagster.errors import VerdictError
from forge_dagster.exclusion import ERASURE, Erased, Layout, load_exclusions
from forge_dagster.home import Home
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.record import InputRef
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.signing.keys import KeyRing, Signer
from forge_dagster.versions.needed import needed

DOCUMENT = document_id(0)


class Case:
    """A home with a release that is to be withdrawn, and the keys of two people."""

    def __init__(self, home: Home) -> None:
        self.home, self.digest = home, small_release(home)
        self.ledger, self.store = Ledger(home.ledger), ArtifactStore(home.artifacts)
        self.ring = KeyRing(home.root / "keys", self.ledger)
        for name, owner in (("privacy", "Ada Reed"), ("second", "Bo Lund")):
            self.ring.new(name, owner, 30)
        self.release = f"{KEY}@{self.digest}"
        raw = f"raw_documents/plant@{self.store.current('raw_documents/plant')}"
        layout = Layout(shards="token_shards/t", tokenizer="0" * 64, rest="1" * 64, holes=())
        self.plan = Plan(
            documents=(Erased(document=DOCUMENT, texts=(), because="asked"),), names={}, rows={"release": 1}, models=(),
            releases={self.release: "serving"}, withdrawn=(self.release,), holders=(raw, self.release),
            keeps_trace={"tokenizers": ("tokenizer/t@1",)}, layouts=(layout,),
        )  # fmt: skip

    @property
    def signer(self) -> Signer:
        return self.ring.signer("privacy")


@pytest.fixture
def case(home: Home) -> Case:
    return Case(home)


def _exclusions(case: Case) -> Any:
    return load_exclusions(KeyRing(case.home.root / "keys", case.ledger))


def test_the_list_is_signed_once_and_keeps_places_for_a_resumed_training_alone(case: Case):
    for _ in range(2):
        sign(case.home, case.plan, "quarantine", "request 17", "user:test", case.signer)
    (found,) = _exclusions(case)
    assert (found.documents, found.layouts) == (case.plan.documents, ())
    sign(case.home, case.plan, "resume", "request 17", "user:test", case.signer)
    assert _exclusions(case)[1].layouts == case.plan.layouts
    said = [entry["statement"] for entry in case.ledger.of(ERASURE)]
    assert [each["option"] for each in said] == ["quarantine", "resume"]


def test_what_was_withdrawn_never_serves_again(case: Case):
    approve(case.home, KEY, case.digest, case.ring.signer("second"), "scores and report were read")
    promote(case.home, KEY, case.digest, case.ring, case.signer)
    assert withdraw(case.home, "erasure-1", case.plan.withdrawn) == [case.release]
    assert withdraw(case.home, "erasure-1", case.plan.withdrawn) == []
    assert (case.store.current(KEY), case.store.serving(KEY)) == (None, None)
    with pytest.raises(VerdictError, match="was withdrawn by erasure-1"):
        promote(case.home, KEY, case.digest, case.ring, case.signer)


def test_a_successor_that_is_current_stays(case: Case):
    newer = small_release(case.home, seed=1)
    withdraw(case.home, "erasure-1", case.plan.withdrawn)
    assert case.store.serving(KEY) == newer


def test_versions_that_hold_it_may_go_once_no_release_in_service_rests_on_them(home: Home):
    store, ledger = ArtifactStore(home.artifacts), Ledger(home.ledger)

    def make(key: str, text: str, **inputs: InputRef) -> InputRef:
        ref = commit(home, key, inputs, lambda out: (out / "text.txt").write_text(text), {})
        said = {name: each.model_dump() for name, each in inputs.items()}
        ledger.append("artifact", {"key": key, "digest": ref.digest, "inputs": said})
        return ref

    def held() -> set[str]:
        return {digest for _, digest in needed(home, ledger)}

    raw = make("raw_documents/plant", "with it")
    first = make("small/release", "trained on it", documents=raw)
    successor = make("small/release", "trained on with its place empty", documents=raw)
    assert {raw.digest, first.digest, successor.digest} <= held()
    ledger.append(ERASURE, {"holders": [f"{each.key}@{each.digest}" for each in (raw, first)]})
    withdraw(home, "erasure-1", [f"{first.key}@{first.digest}"])
    assert first.digest not in held()
    assert {raw.digest, successor.digest} <= held(), "what serves rests on its records"
    clean = make("raw_documents/plant", "without it")
    last = make("small/release", "trained without it", documents=clean)
    assert held() == {clean.digest, last.digest}
    assert store.serving("small/release") == last.digest


def test_the_certificate_is_signed_and_says_what_keeps_a_trace(case: Case):
    found = sign(case.home, case.plan, "resume", "request 17", "user:test", case.signer)
    path, said = certify(case.home, case.plan, found, "resume", {"small": {"after_step": 9}}, [], case.signer)
    written = json.loads(path.read_bytes())
    assert written["certificate"] == said == json.loads(base64.b64decode(written["envelope"]["payload"]))["predicate"]
    assert said["keeps_trace"] == {"tokenizers": ["tokenizer/t@1"]}
    assert said["means"] == MEANS
    assert said["list"] == next(case.ledger.of(ERASURE))["hash"]
    (stated,) = case.ledger.statements(CERTIFICATE)
    assert stated["envelope"] == written["envelope"]
