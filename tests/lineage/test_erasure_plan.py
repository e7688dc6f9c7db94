"""The plan of an erasure on a real chain made twice: duplicates, versions, places in the shards, nothing done."""

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from forge_dagster.cli.main import app
from forge_dagster.declared import Declared, load_declared
from forge_dagster.erasure.plan import Plan, make_plan
from forge_dagster.erasure.probe import probe
from forge_dagster.errors import UserError
from forge_dagster.exclusion import rest_of
from forge_dagster.home import Home
from forge_dagster.provenance.store import ArtifactStore

NOTHING = Declared(sources={}, recipes={}, policies={}, pairs={})


def _plan(chain, *documents: str) -> Plan:
    return make_plan(chain.home, NOTHING, *chain.opened(), documents)


def _index(chain) -> list[dict]:
    digest = str(chain.store.current("token_shards/t"))
    rows = pq.read_table(chain.store.content("token_shards/t", digest) / "documents.parquet").to_pylist()
    return [row for row in rows if row["split"] == "train"]


def test_places_are_those_of_the_current_shards(chain) -> None:
    document = chain.id_of(chain.changed)
    plan = _plan(chain, document)
    rows = _index(chain)
    ids = [row["document"] for row in rows]
    gone = [each.document for each in plan.documents]
    (layout,) = plan.layouts
    assert [(hole.number, hole.length) for hole in layout.holes] == [
        (number, row["length"]) for number, row in enumerate(rows) if row["document"] in gone
    ]
    assert layout.rest == rest_of(each for each in ids if each not in gone)
    assert plan.digest == _plan(chain, document).digest
    assert plan.digest != _plan(chain, ids[0] if ids[0] != document else ids[1]).digest


def test_every_version_that_holds_it_is_named_and_a_current_model_is_withdrawn(chain) -> None:
    plan = _plan(chain, chain.id_of(chain.changed))
    families = {each.partition("/")[0].partition("@")[0] for each in plan.holders}
    assert {"raw_documents", "clean_documents", "corpus", "token_shards", "nano"} <= families
    assert all(len(each.partition("@")[2]) == 64 for each in plan.holders)
    assert {chain.store.current("nano/base_checkpoint")} <= {each.partition("@")[2] for each in plan.withdrawn}
    exported = f"export/nano/gguf/f16@{chain.store.current('export/nano/gguf/f16')}"
    assert exported in plan.withdrawn
    assert exported in plan.holders
    assert any("tokenizer" in what and where for what, where in plan.keeps_trace.items())


def test_an_older_version_is_followed_with_what_it_was_a_duplicate_of(chain) -> None:
    before, after = chain.id_of(chain.changed, 0), chain.id_of(chain.changed, 1)
    (first, *others) = _plan(chain, before).documents
    assert (first.document, first.because) == (before, "asked")
    assert all(each.because == "duplicate" for each in others)
    assert after not in [first.document]
    assert all(len(text) == 64 for text in first.texts)


def test_what_was_never_read_is_told(chain) -> None:
    with pytest.raises(UserError, match="nothing was made of it"):
        _plan(chain, "0" * 64)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--reason", "x"], "a reason says why"),
        (["--reason", "request 17", "--option", "forget"], "--option forget"),
        (["--reason", "request 17", "--as", "person"], "--as person"),
        (["--reason", "request 17", "--plan", "0" * 12, "--key", "k"], "the plan is"),
        (["--reason", "request 17", "--yes"], "no --key"),
    ],
)
def test_what_is_asked_wrongly_changes_nothing(chain, arguments: list[str], said: str) -> None:
    before = chain.home.ledger.read_bytes()
    done = CliRunner().invoke(app, ["erase", chain.changed, *arguments])
    assert isinstance(done.exception, UserError)
    assert said in str(done.exception)
    assert chain.home.ledger.read_bytes() == before


def test_a_plan_is_shown_and_nothing_is_done(chain) -> None:
    before = chain.home.ledger.read_bytes()
    told = CliRunner().invoke(app, ["erase", chain.changed, "--reason", "request 17", "--json"], catch_exceptions=False)
    assert json.loads(told.stdout)["done"] is False
    shown = CliRunner().invoke(app, ["erase", chain.changed, "--reason", "request 17"], catch_exceptions=False).stdout
    assert f"Plan {json.loads(told.stdout)['plan'][:12]}. Nothing was done" in shown
    assert chain.home.ledger.read_bytes() == before


def test_a_quarantine_withdraws_at_once_and_keeps_the_document_out(
    chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(Path(shutil.copytree(chain.home.root, tmp_path / "home")))
    monkeypatch.setenv("FORGE_HOME", str(home.root))
    store = ArtifactStore(home.artifacts)
    document, before = chain.id_of(chain.changed), store.current("nano/base_checkpoint")
    for arguments in (
        ["keys", "new", "--name", "privacy", "--owner", "Ada Reed"],
        ["erase", document, "--reason", "request 17", "--option", "quarantine", "--key", "privacy", "--yes", "--json"],
    ):
        done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    told = json.loads(done.stdout)
    assert f"nano/base_checkpoint@{before}" in told["withdrawn"]
    assert store.current("nano/base_checkpoint") is None
    assert json.loads(Path(told["certificate"]).read_bytes())["certificate"]["option"] == "quarantine"
    (exclusion,) = load_declared().exclusions
    assert document in [each.document for each in exclusion.documents]
    assert all(document in placed.erased for placed in load_declared().sources.values())


def test_a_probe_tells_text_that_was_learnt_from_text_that_was_not(chain) -> None:
    digest = str(chain.store.current("nano/base_checkpoint"))
    corpus = chain.store.content("corpus", str(chain.store.current("corpus")))
    learnt = pq.read_table(corpus / "train.parquet", columns=["text"])["text"][0].as_py()
    given = probe(chain.store.content("nano/base_checkpoint", digest), [learnt, "Zq xv! jkw 7#% qqz wvx. " * 20])
    assert 0 < given[0].bits_per_byte < given[1].bits_per_byte
    assert all(each.longest_run >= 0 for each in given)
