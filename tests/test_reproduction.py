"""`forge reproduce`: the same bytes whole and in segments, and a doctored record is told by the file that differs."""

import json
import os
import random
import shutil
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from small_run import settings
from typer.testing import CliRunner

from forge_dagster.cli.main import app
from forge_dagster.declared import Declared
from forge_dagster.errors import IntegrityError, UserError
from forge_dagster.home import PROJECT, Home
from forge_dagster.provenance.build import External, Order, build
from forge_dagster.provenance.files import content_digest, list_files, sha256_file
from forge_dagster.provenance.run import Run
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.recipe import Recipe, TokenizerSpec
from forge_dagster.reproduction import as_recorded, distance
from forge_dagster.stages import base
from forge_dagster.tokens import shards
from forge_dagster.training.job import TrainingJob
from forge_dagster.training.retained import retained
from resources.compute import numerics

KEY = "nano/base_checkpoint"
SHAPE = {"hidden_size": 16, "intermediate_size": 32, "layers": 1, "heads": 2, "kv_heads": 2, "head_dim": 8}
WORDS = ("pump", "valve", "boiler", "filter", "crane", "press", "mixer", "tank")
SETTINGS = settings(steps=24, retain_every_steps=6)


def _recipe() -> Recipe:
    told = yaml.safe_load((PROJECT / "recipes" / "tiny-dense.yaml").read_text())
    told |= {"name": "nano", "model": told["model"] | SHAPE}
    told["stages"] = [{"stage": "base", "settings": SETTINGS.model_dump(mode="json")}]
    return Recipe.model_validate(told)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with one pre-trained checkpoint and the run that made it."""
    root = tmp_path_factory.mktemp("reproduction")
    home, corpus, chance = Home(root / "home"), root / "corpus", random.Random(3)
    corpus.mkdir()
    for split, count in (("train", 30), ("validation", 2)):
        rows = [
            {"id": f"{split}{n}", "source": "plant",
             "text": " ".join(f"A {chance.choice(WORDS)} near {chance.choice(WORDS)}." for _ in range(25))}
            for n in range(count)
        ]  # fmt: skip
        pq.write_table(pa.Table.from_pylist(rows), corpus / f"{split}.parquet")
    recipe = _recipe()
    declared = Declared(sources={}, recipes={"nano": recipe}, policies={}, pairs={})
    read = {"corpus": External(what="corpus", measure=partial(sha256_file, corpus / "train.parquet"), path=corpus)}
    base_inputs = {"tokenizer": "tokenizer/t", "token_shards": "token_shards/t"}
    job = TrainingJob[base.Settings](seed=recipe.seed, model=recipe.model, settings=SETTINGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORGE_THREADS", "1")
        run = Run(home, "made")
        run.freeze({"declared": declared.model_dump(mode="json")})
        for key, module, inputs, external, config in (
            ("tokenizer/t", "tokens.tokenizer", {}, read, TokenizerSpec(kind="byte-bpe", vocab_size=300)),
            ("token_shards/t", "tokens.shards", {"tokenizer": "tokenizer/t"}, read, shards.ShardsConfig()),
            (KEY, "stages.base", base_inputs, {}, job),
        ):
            order = Order(key=key, module=f"forge_dagster.{module}", inputs=inputs, external=external, config=config,
                          numerics=numerics())  # fmt: skip
            build(run, order, actor="user:test", say=lambda _: None)
    return home


@pytest.fixture
def home(trained: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("FORGE_HOME", str(trained.root))
    monkeypatch.setenv("FORGE_THREADS", "2")  # the record says 1, and that is what counts
    return trained


def _forge(*arguments: str) -> dict:
    done = CliRunner().invoke(app, ["reproduce", *arguments, "--json"])
    if done.exception:
        raise done.exception
    return json.loads(done.stdout)


@pytest.mark.parametrize("steps", [None, "0:6", "6:18", "12:24"])
def test_it_comes_out_as_recorded_and_the_store_is_only_read(home: Home, steps: str | None) -> None:
    before = list_files(home.artifacts)
    told = _forge(KEY, *(["--steps", steps] if steps else []))
    assert (told["differs"], told["tolerance"]) == (None, 0.0)
    assert told["files"] >= (3 if steps in ("0:6", "6:18") else 6)
    assert list_files(home.artifacts) == before
    assert not list(home.work.glob("reproduce-*"))


@pytest.mark.parametrize("steps", ["5:12", "6:7", "12:6", "6:99", "x", "6-12"])
def test_a_segment_lies_between_retained_checkpoints(home: Home, steps: str) -> None:
    with pytest.raises(UserError, match=f"--steps {steps}"):
        _forge(KEY, "--steps", steps)


def _doctored(home: Home) -> str:
    """A version with other weights whose record, folder and digest agree with them; return its digest."""
    store = ArtifactStore(home.artifacts)
    digest = str(store.current(KEY))
    staging = home.work / "doctored"
    shutil.copytree(store.version(KEY, digest), staging)
    shutil.rmtree(staging / "records")
    weights = staging / "content" / "model.safetensors"
    tensors = load_file(weights)
    name = sorted(tensors)[0]
    save_file({**tensors, name: tensors[name] + 0.5}, weights, {"format": "pt"})
    files = list_files(staging / "content")
    record = store.record(KEY, digest)
    entry = type(record.files["model.safetensors"])
    listed = {path: entry.model_validate(each) for path, each in files.items()}
    changed = record.model_copy(update={"digest": content_digest(files), "files": listed})
    store.commit(staging, changed)
    return changed.digest


def test_a_doctored_record_is_convicted_by_the_file(home: Home) -> None:
    digest = _doctored(home)
    try:
        ArtifactStore(home.artifacts).verify(KEY, digest)  # by itself it looks sound
        with pytest.raises(IntegrityError, match=r"model\.safetensors of nano/base_checkpoint@.* comes out otherwise"):
            _forge(f"{KEY}@{digest}")
    finally:
        shutil.rmtree(ArtifactStore(home.artifacts).version(KEY, digest))


def test_what_is_otherwise_in_the_environment_is_named(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forge_dagster.reproduction.code_version", lambda module: "f" * 64)
    told = _forge(KEY, "--steps", "0:6")
    assert told["environment"]["code_version"][1] == "f" * 64
    assert "threads" not in told["environment"], "it ran with the threads of the record"


def test_a_checkpoint_that_is_no_more_than_a_folder_is_refused(home: Home, tmp_path: Path) -> None:
    made = home.runs / "made"
    made.rename(tmp_path / "made")
    try:
        with pytest.raises(UserError, match="was made by run made"):
            _forge(KEY)
    finally:
        (tmp_path / "made").rename(made)
    with pytest.raises(UserError, match="no checkpoint of a recipe"):
        _forge("tokenizer/t")


def test_retained_checkpoints_are_those_of_the_settings(home: Home) -> None:
    assert sorted(retained(home.cache / KEY)[0].read) == sorted(SETTINGS.retained_steps)


def test_distance_is_relative_to_the_largest_value(tmp_path: Path) -> None:
    one = {"a": torch.tensor([1.0, -4.0]), "b": torch.zeros(2)}
    save_file(one, tmp_path / "one.safetensors")
    save_file({**one, "a": torch.tensor([1.0, -3.96])}, tmp_path / "near.safetensors")
    save_file({"a": torch.zeros(3)}, tmp_path / "other.safetensors")
    assert distance(tmp_path / "one.safetensors", tmp_path / "near.safetensors") == pytest.approx(0.01, rel=1e-3)
    assert distance(tmp_path / "one.safetensors", tmp_path / "other.safetensors") == float("inf")


def test_a_process_computes_as_the_record_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORGE_THREADS", "7")
    monkeypatch.delenv("FORGE_COMPILE", raising=False)
    told = {"threads": 2, "compiled": True, "device": "cpu", "zero_stage": 0, "dtype": "float32"}
    with as_recorded(told):
        found = {
            name: os.environ.get(name) for name in ("FORGE_THREADS", "FORGE_COMPILE", "FORGE_DEVICE", "FORGE_ZERO")
        }
    assert found == {"FORGE_THREADS": "2", "FORGE_COMPILE": "1", "FORGE_DEVICE": "cpu", "FORGE_ZERO": None}
    assert os.environ["FORGE_THREADS"] == "7"
    assert "FORGE_COMPILE" not in os.environ
