"""An inherited tokenizer: the same cuts and merges, our control tokens, every byte, and words of the corpus."""

import copy
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from forge_dagster.corpus.text import decode, normalise
from forge_dagster.errors import DataError, WeightsError
from forge_dagster.recipe import InheritedTokenizerSpec
from forge_dagster.stage import local_context
from forge_dagster.tokens import inherited
from forge_dagster.tokens.adopt import adopt
from forge_dagster.tokens.control import ASSISTANT_ID, CONTROL, END_ID, END_OF_TEXT_ID, PAD_ID, USER_ID
from forge_dagster.tokens.encoding import encode_batch, load_encoder

MERGES = [pair.split() for pair in ("Ġ o", "Ġo f", "i n", "l in", "u s", "us er", "e r", "T h", "Th e")]
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<file_sep>"]
UNSEEN = {"À", "Á", "õ", "ĝ"}


def foreign() -> dict[str, Any]:
    """A tokenizer as other models have: control tokens first, some bytes missing, digits apart."""
    from tokenizers import pre_tokenizers

    bytes_seen = sorted(set(pre_tokenizers.ByteLevel.alphabet()) - UNSEEN)
    made = ["".join(pair) for pair in MERGES]
    vocab = {token: number for number, token in enumerate([*SPECIAL, *bytes_seen, *made])}
    return {
        "version": "1.0",
        "added_tokens": [
            {"id": number, "content": token, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": True} for number, token in enumerate(SPECIAL)
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Digits", "individual_digits": True},
                {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
            ],
        },
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "unk_token": "<|endoftext|>", "vocab": vocab, "merges": [" ".join(m) for m in MERGES]},
    }  # fmt: skip


def run(folder: Path, corpus: Path, source: dict[str, Any], domain_tokens: int, sources: tuple[str, ...] = ()) -> Path:
    (folder / "weights").mkdir(parents=True)
    (folder / "out").mkdir()
    (folder / "weights" / "tokenizer.json").write_text(json.dumps(source))
    inputs = {"corpus": corpus, "weights": folder / "weights"}
    spec = InheritedTokenizerSpec(kind="inherited", domain_tokens=domain_tokens, domain_sources=sources)
    inherited.run(inputs, spec, folder / "out", local_context(folder / "context"))
    return folder / "out"


@pytest.fixture(scope="module")
def extended(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("inherited"), corpus, foreign(), 12)


@pytest.fixture(scope="module")
def encoder(extended: Path) -> Tokenizer:
    return load_encoder(extended)


def test_its_checks_pass_and_find_a_token_without_origin(extended: Path, tmp_path: Path) -> None:
    findings = inherited.check(extended)
    assert [finding.name for finding in findings] == list(inherited.CHECK_NAMES)
    assert all(finding.passed for finding in findings)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_text((extended / name).read_text())
    origins = json.loads((extended / inherited.ORIGINS).read_text())
    origins[7] = []
    (tmp_path / inherited.ORIGINS).write_text(json.dumps(origins))
    assert [finding.passed for finding in inherited.check(tmp_path)] == [True, True, True, False]


@given(parts=st.lists(st.one_of(st.text(), st.sampled_from([*CONTROL, *SPECIAL, "õÁ", "\x00", " "]))))
def test_any_text_comes_back_and_never_becomes_control(encoder: Tokenizer, parts: list[str]) -> None:
    text = "".join(parts)
    (ids,) = encode_batch(encoder, [text])
    assert encoder.decode(ids, skip_special_tokens=False) == text
    assert not [token for token in ids if token < len(CONTROL)]


@settings(deadline=None, max_examples=60)  # guessing an encoding takes its time
@given(data=st.binary(max_size=300))
def test_any_bytes_come_back_as_the_pipeline_reads_them(encoder: Tokenizer, data: bytes) -> None:
    try:
        text = normalise(decode(data))
    except DataError:
        return
    (ids,) = encode_batch(encoder, [text])
    assert encoder.decode(ids, skip_special_tokens=False).encode() == text.encode()


def test_it_cuts_as_the_inherited_one_did(corpus: Path, tmp_path: Path) -> None:
    """Without new tokens the ids are the old ones under new numbers, on every text whose bytes the old one knew."""
    ours, source = load_encoder(run(tmp_path, corpus, foreign(), 0)), foreign()
    theirs = Tokenizer.from_str(json.dumps(source))
    origins = json.loads((tmp_path / "out" / inherited.ORIGINS).read_text())
    for text in pq.read_table(corpus / "train.parquet").column("text").to_pylist():
        plain = text.replace("<|user|>", "")
        old = theirs.encode(plain, add_special_tokens=False).ids
        assert [origins[token] for token in ours.encode(plain, add_special_tokens=False).ids] == [[i] for i in old]


def test_control_tokens_come_from_their_likes_and_missing_bytes_from_bytes(extended: Path) -> None:
    origins = json.loads((extended / inherited.ORIGINS).read_text())
    source = foreign()["model"]["vocab"]
    assert origins[PAD_ID] == origins[END_OF_TEXT_ID] == [source["<|endoftext|>"]]
    assert origins[END_ID] == [source["<|im_end|>"]]
    assert origins[USER_ID] == [source["<|im_start|>"], source["user"]]
    assert origins[ASSISTANT_ID] == [source["<|im_start|>"]]
    vocab = Tokenizer.from_file(str(extended / "tokenizer.json")).get_vocab()
    assert all(len(origins[vocab[byte]]) == 256 - len(UNSEEN) for byte in UNSEEN)
    assert "<|im_start|>" not in vocab


def test_new_tokens_are_words_of_the_corpus_made_of_their_pieces(extended: Path, corpus: Path) -> None:
    report = json.loads((extended / "report.json").read_text())
    assert len(report["domain_tokens"]) == 12
    assert "Ġline" in report["domain_tokens"]
    assert report["bytes_added"] == len(UNSEEN)
    assert report["all"]["bytes_per_token"] > report["all"]["general_bytes_per_token"]
    vocab = Tokenizer.from_file(str(extended / "tokenizer.json")).get_vocab()
    origins, source = json.loads((extended / inherited.ORIGINS).read_text()), foreign()["model"]["vocab"]
    assert origins[vocab["Ġline"]] == [source[piece] for piece in ("Ġ", "lin", "e")]
    texts = pq.read_table(corpus / "train.parquet").column("text").to_pylist()
    used = {token for encoding in load_encoder(extended).encode_batch(texts) for token in encoding.tokens}
    assert "Ġline" in used


def test_new_tokens_can_be_learned_from_some_sources_alone(corpus: Path, tmp_path: Path) -> None:
    table = pq.read_table(corpus / "train.parquet")
    number = table.column_names.index("text")
    texts = [f"{'zorbel ' * 400}{text}" if source == "office" else f"{'quandix ' * 400}{text}"
             for source, text in zip(table["source"].to_pylist(), table["text"].to_pylist(), strict=True)]  # fmt: skip
    (tmp_path / "corpus").mkdir()
    pq.write_table(table.set_column(number, "text", [texts]), tmp_path / "corpus" / "train.parquet")
    out = run(tmp_path / "run", tmp_path / "corpus", foreign(), 30, ("office",))
    learned = json.loads((out / "report.json").read_text())["domain_tokens"]
    assert "zorbel" in learned
    assert not [token for token in learned if "quan" in token or "dix" in token]


def test_it_is_the_same_every_time(extended: Path, corpus: Path, tmp_path: Path) -> None:
    again = run(tmp_path, corpus, foreign(), 12)
    assert {p.name: p.read_bytes() for p in again.iterdir()} == {p.name: p.read_bytes() for p in extended.iterdir()}


def test_more_new_tokens_than_the_corpus_supports_are_refused(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"domain_tokens = 9999, but the training documents support \d+"):
        run(tmp_path, corpus, foreign(), 9999)


def test_an_empty_corpus_is_refused(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    pq.write_table(pq.read_table(corpus / "train.parquet").slice(0, 0), tmp_path / "corpus" / "train.parquet")
    with pytest.raises(DataError, match="no training document"):
        run(tmp_path / "run", tmp_path / "corpus", foreign(), 0)


def _changed(**changes: Any) -> dict[str, Any]:
    source = copy.deepcopy(foreign())
    for path, value in changes.items():
        *outer, last = path.split("__")
        place = source
        for name in outer:
            place = place[name]
        place[last] = value
    return source


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (_changed(model__type="Unigram"), "the tokenizer is Unigram"),
        (_changed(pre_tokenizer=None), "no cuts"),
        (_changed(pre_tokenizer={"type": "Metaspace"}), "Metaspace"),
        (_changed(pre_tokenizer={"type": "ByteLevel", "add_prefix_space": True}), "ByteLevel"),
        (_changed(normalizer={"type": "Lowercase"}), "changes text first: Lowercase"),
        (_changed(model__merges=[["x", "nowhere"]]), r"merge \['x', 'nowhere'\]"),
        (_changed(model__merges=["a b c"]), "merge"),
        (_changed(model__vocab={**foreign()["model"]["vocab"], "<|user|>": 900}), "text never becomes a control token"),
        (_changed(model__vocab={**foreign()["model"]["vocab"], "x1": -1}), "no whole numbers"),
        (_changed(model__vocab={**foreign()["model"]["vocab"], "x1": "3"}), "no whole numbers"),
        (_changed(added_tokens=[{"content": "<x>", "id": "many"}]), "has no"),
        ({"model": {}}, "has no 'type'"),
        ({"model": 3}, "has no"),
    ],
)
def test_what_is_not_byte_level_is_refused(source: dict[str, Any], expected: str) -> None:
    with pytest.raises(WeightsError, match=expected):
        adopt(source)


def test_one_that_removes_text_is_refused() -> None:
    source = foreign()
    source["pre_tokenizer"]["pretokenizers"].insert(
        0, {"type": "Split", "pattern": {"String": " "}, "behavior": "Removed", "invert": False}
    )
    with pytest.raises(WeightsError, match="cuts lose no character"):
        adopt(source)
