"""Pre-training after an erasure: a resumed training is the full one bit for bit, and what was erased has no effect."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from small_run import SPEC, inputs_of, settings

from forge_dagster.exclusion import Hole, Layout, rest_of
from forge_dagster.provenance.files import sha256_file
from forge_dagster.stage import LocalContext, local_context
from forge_dagster.stages import base
from forge_dagster.tokens import shards
from forge_dagster.tokens.control import END_OF_TEXT_ID
from forge_dagster.tokens.reader import open_documents
from forge_dagster.training.batches import IGNORED, pack
from forge_dagster.training.job import TrainingJob
from forge_dagster.training.order import order_of
from forge_dagster.training.retained import retained

SETTINGS = settings(steps=24, retain_every_steps=6)
JOB = TrainingJob[base.Settings](seed=3, model=SPEC, settings=SETTINGS)
Inputs = dict[str, Path]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    root = tmp_path_factory.mktemp("inputs")
    return {**inputs_of(root, documents=30), "corpus": root / "corpus"}


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORGE_THREADS", "1")


def _first_steps(inputs: Inputs) -> dict[int, int]:
    """The first step that read each document."""
    order = order_of(open_documents(inputs["token_shards"], "train"), SETTINGS, JOB.seed)
    found: dict[int, int] = {}
    for step in range(SETTINGS.steps):
        for span in (span for row in order.batch(step) for span in row):
            found.setdefault(span.document, step)
    return found


@pytest.fixture(scope="module")
def without(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Inputs]:
    """The inputs after the erasure of one training document, by its number."""

    def erase(number: int) -> Inputs:
        root = tmp_path_factory.mktemp("without")
        corpus, out = root / "corpus", root / "token_shards"
        shutil.copytree(inputs["corpus"], corpus)
        out.mkdir()
        table = pq.read_table(corpus / "train.parquet")
        pq.write_table(table.filter(np.arange(len(table)) != number), corpus / "train.parquet")
        ids = table["id"].to_pylist()
        length = int(open_documents(inputs["token_shards"], "train").lengths[number])
        hole = Hole.model_construct(document=ids[number], source="s", number=number, length=length)
        layout = Layout(
            shards="token_shards/t",
            tokenizer=sha256_file(inputs["tokenizer"] / "tokenizer.json"),
            rest=rest_of(ids[:number] + ids[number + 1 :]),
            holes=(hole,),
        )
        changed = {**inputs, "corpus": corpus}
        report = shards.run(changed, shards.ShardsConfig(layouts=(layout,)), out, local_context(root / "context"))
        assert report.counts["erased"] == 1
        assert all(finding.passed for finding in shards.check(out))
        return {**changed, "token_shards": out}

    return erase


def _train(inputs: Inputs, folder: Path, cache: Path) -> tuple[dict[str, str], LocalContext]:
    """Digests of what a training writes, with the cache of its artifact."""
    plain, out = local_context(folder), folder / "out"
    out.mkdir()
    context = LocalContext(plain.work, plain.beside, cache)
    cache.mkdir(exist_ok=True)
    read = {name: inputs[name] for name in ("tokenizer", "token_shards")}
    base.STAGE.run(read, JOB, out, context)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(out.iterdir())}, context


def test_everything_else_stays_in_its_place_and_the_erased_text_is_gone(inputs: Inputs, without: Callable) -> None:
    number = 4
    before = open_documents(inputs["token_shards"], "train")
    after = open_documents(without(number)["token_shards"], "train")
    assert (before.lengths == after.lengths).all()
    for document, length in enumerate(before.lengths.tolist()):
        same = before.window(document, 0, length)[1], after.window(document, 0, length)[1]
        assert (same[0] == same[1]).all() == (document != number)
    assert set(after.window(number, 0, int(after.lengths[number]))[1].tolist()) == {END_OF_TEXT_ID}
    step = _first_steps(inputs).get(number, 0)
    rows = order_of(after, SETTINGS, JOB.seed).batch(step)
    labels = pack(after, rows, SETTINGS.sequence_length).labels.numpy()
    mine = [[span.document == number for span in row for _ in range(span.length)] for row in rows]
    assert ((labels == IGNORED) == np.array(mine)).all()


def test_a_resumed_training_is_the_full_one_bit_for_bit(inputs: Inputs, without: Callable, tmp_path: Path) -> None:
    before, _ = _train(inputs, tmp_path / "before", tmp_path / "cache")
    assert sorted(retained(tmp_path / "cache")[0].read) == [0, 6, 10, 12, 18]
    late = max(_first_steps(inputs).items(), key=lambda pair: pair[1])
    erased = without(late[0])
    resumed, context = _train(erased, tmp_path / "resumed", tmp_path / "cache")
    full, other = _train(erased, tmp_path / "full", tmp_path / "empty")
    begun = [text for _, _, text in context.seen if text.startswith("beginning after step")]
    assert begun == [f"beginning after step {18 if late[1] >= 18 else 12} of an earlier training that read the same "
                     "until there"]  # fmt: skip
    assert not [text for _, _, text in other.seen if text.startswith("beginning after step")]
    assert resumed == full
    assert [sorted(each.read) for each in retained(tmp_path / "cache")] == [[0, 6, 10, 12, 18]] * 2
    assert resumed["model.safetensors"] != before["model.safetensors"]


def test_a_checkpoint_that_saw_the_document_is_never_begun_at(
    inputs: Inputs, without: Callable, tmp_path: Path
) -> None:
    _train(inputs, tmp_path / "before", tmp_path / "cache")
    early = min(_first_steps(inputs).items(), key=lambda pair: pair[1])
    assert early[1] == 0
    _, context = _train(without(early[0]), tmp_path / "after", tmp_path / "cache")
    assert not [text for _, _, text in context.seen if text.startswith("beginning after step")]


def test_another_layout_leaves_no_holes(inputs: Inputs, tmp_path: Path) -> None:
    hole = Hole.model_construct(document="train3", source="s", number=3, length=5)
    layout = Layout(shards="token_shards/t", tokenizer="0" * 64, rest="0" * 64, holes=(hole,))
    (tmp_path / "out").mkdir()
    config = shards.ShardsConfig(layouts=(layout,))
    report = shards.run(inputs, config, tmp_path / "out", local_context(tmp_path / "context"))
    assert report.counts["erased"] == 0
    names = ("train-00000.bin", "documents.parquet", "meta.json")
    assert all((tmp_path / "out" / n).read_bytes() == (inputs["token_shards"] / n).read_bytes() for n in names)


@pytest.mark.parametrize("damage", ["flip", "missing anchor"])
def test_a_damaged_checkpoint_is_passed_over(damage: str, inputs: Inputs, tmp_path: Path) -> None:
    _train(inputs, tmp_path / "before", tmp_path / "cache")
    found = retained(tmp_path / "cache")[0]
    if damage == "flip":
        path = found.at(18) / "model.safetensors"
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
        assert found.whole() == [0, 6, 10, 12]
    else:
        shutil.rmtree(found.at(10))
        assert found.whole() == [0, 6]
