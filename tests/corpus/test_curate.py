"""Language, quality and furniture: what is kept, what goes, and why."""

# ruff: noqa: E501 - sentences of one language on one line

import base64
import random
from collections import Counter
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_dagster.corpus import boilerplate
from forge_dagster.corpus.boilerplate import furniture_of, line_keys
from forge_dagster.corpus.clean import PARSED
from forge_dagster.corpus.curate import curate
from forge_dagster.corpus.language import NONE, language_of
from forge_dagster.corpus.quality import broken_rule, measure
from forge_dagster.source import Cleaning

LANGUAGES = {
    "de": "Die Pumpe wird jeden Morgen geprüft, bevor die Schicht beginnt, und am Abend gereinigt.",
    "fr": "La pompe est vérifiée chaque matin avant le début du travail et nettoyée le soir par l'équipe.",
    "es": "La bomba se revisa cada mañana antes de que empiece el turno y se limpia por la noche.",
    "it": "La pompa viene controllata ogni mattina prima dell'inizio del turno e pulita la sera.",
    "ru": "Насос проверяется каждое утро перед началом смены и очищается вечером сотрудниками.",
    "ja": "ポンプは毎朝、勤務が始まる前に点検され、夕方に清掃されます。記録は事務所に保管し、責任者が毎週確認します。",
    "zh": "每天早上在轮班开始之前检查水泵，晚上进行清洁，记录保存在办公室，由值班人员负责，并由主管每周复核一次。",
    "en": "The pump is checked every morning before the shift begins and cleaned in the evening.",
}


@pytest.mark.parametrize(("code", "text"), LANGUAGES.items())
@pytest.mark.parametrize("times", [1, 40])
def test_the_language_of_a_sentence_and_of_a_page(code: str, text: str, times: int):
    assert language_of(f"{text}\n" * times, "plain") == code


@pytest.mark.parametrize(
    ("text", "format_"), [("3 4 5 | 6 7\n" * 40, "plain"), ("", "plain"), (LANGUAGES["de"] * 9, "code")]
)
def test_what_has_no_words_of_a_language_has_none(text: str, format_: str):
    assert language_of(text, format_) == NONE


def test_documents_of_other_languages_are_dropped_where_a_source_says_so():
    only = Cleaning(languages=("en",))
    assert curate("", LANGUAGES["de"], "plain", only).reason == "language:de"
    assert curate("", LANGUAGES["en"], "plain", only).disposition == "kept"
    assert curate("", "int main() { return 0; } // " + "x" * 40, "code", only).disposition == "kept"


JUNK = {
    "encoded-blob": base64.b64encode(random.Random(1).randbytes(4000)).decode(),
    "repeated-lines": "Buy now and save a lot of money today.\n" * 60,
    "repeated-phrase": "click here now " * 200,
    "few-words": " ".join(f"{number:05} --- ### {number * 7:04}" for number in range(80)),
    "torn-letters": " ".join("this is a scan that was torn apart " * 8),
    "undecodable": "The pump\ufffd\ufffd is \ufffd checked \ufffd\ufffd every \ufffd morning. " * 9,
}


@pytest.mark.parametrize(("rule", "text"), JUNK.items())
def test_junk_is_dropped_by_the_rule_that_names_it(rule: str, text: str):
    assert broken_rule(measure(text)) == rule
    assert curate("", text, "plain", Cleaning()).reason == f"quality:{rule}"
    assert curate("", text, "plain", Cleaning(quality=False)).disposition == "kept"


INTERNAL = {
    "options": "\n".join(f"--option-{n}  sets the value of number {n} (default {n * 3})" for n in range(60)),
    "table": "\n".join(f"pump {n} | hall {n % 7} | {n * 11} kg | checked 2024-03-{n % 28 + 1:02}" for n in range(80)),
    "commands": "\n".join(f"$ systemctl restart pump-{n}.service && tail -n {n} /var/log/pump.log" for n in range(40)),
    "minutes": "Present: four people.\n\n1. The pump was discussed.\n2. It is to be oiled.\n3. Next meeting: Monday.",
    "changelog": "\n".join(
        f"- fix #{n}: {['the', 'valve', 'of', 'hall', 'a', 'rack', 'in', 'room'][n % 4]} {n} closes, see {n * 3} ({['ab', 'cd', 'ef', 'gh', 'ij'][n % 5]})"
        for n in range(100)
    ),
}


@pytest.mark.parametrize("text", INTERNAL.values(), ids=INTERNAL)
def test_what_internal_documents_look_like_is_kept(text: str):
    assert curate("", text, "plain", Cleaning()).disposition == "kept"


def batch_of(texts: list[str]) -> pa.RecordBatch:
    rows = [{"key": str(number), **line_keys(text)._asdict()} for number, text in enumerate(texts)]
    return pa.Table.from_pylist(rows, PARSED).to_batches()[0]


def test_lines_that_repeat_are_left_out_and_headings_stay(prose: Callable):
    footer = "Confidential. Property of the works. Page {} of 12, printed for internal use."
    texts = [f"# Report\n\n{prose(n)}\n\nHome > Works > Reports\n{footer.format(n)}\n" for n in range(20)]
    furniture = furniture_of([batch_of(texts)])
    text, left_out = furniture.left_out(texts[7])
    assert left_out == 2
    assert text.startswith("# Report")
    assert prose(7) in text
    assert "Confidential" not in text
    assert "Home >" not in text
    batch = batch_of([texts[7], "A document of its own.\n"])
    found = furniture.found(batch.column("anywhere"), batch.column("at_edge"))
    assert found[0]
    assert not found[1], "a document without such lines is told without its text"
    assert furniture.left_out("A document of its own.\n") == ("A document of its own.\n", 0)


@given(st.lists(st.lists(st.integers(0, 30), unique=True, max_size=20), min_size=12, max_size=60), st.integers(1, 30))
def test_furniture_is_every_line_that_enough_documents_have(documents: list[list[int]], buckets: int):
    rows = [{"anywhere": np.sort(np.array(keys, "<u8")).tobytes(), "at_edge": b""} for keys in documents]
    batches = [pa.RecordBatch.from_pylist(part, PARSED) for part in (rows[:7], rows[7:])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boilerplate, "BUCKETS", buckets)
        found = furniture_of(batches)
    counts = Counter(key for keys in documents for key in keys)
    least = max(5, boilerplate.SHARE * len(documents))
    assert found.anywhere.tolist() == sorted(key for key, times in counts.items() if times >= least)
    assert not len(found.at_edge)
    hits = found.found(batches[1].column("anywhere"), batches[1].column("at_edge"))
    for keys, hit in zip(documents[7:], hits, strict=True):
        assert np.frombuffer(hit[: 8 * (len(hit) // 8)], "<u8").tolist() == sorted(
            set(keys) & set(found.anywhere.tolist())
        )


def test_in_a_small_source_nothing_counts_as_furniture(prose: Callable):
    furniture = furniture_of(
        [batch_of([f"{prose(n)}\nThe same long footer line stands in every one.\n" for n in range(9)])]
    )
    assert not len(furniture.anywhere)
    assert not len(furniture.at_edge)


def test_a_letterhead_that_opens_a_document_goes_and_a_title_stays(prose: Callable):
    head = "Works and Daughters | Internal document | Page {} of 12"
    texts = [f"{head.format(n)}\n\nReport\n\n{prose(n)}\n" for n in range(20)]
    furniture = furniture_of([batch_of(texts)])
    assert furniture.left_out(texts[7])[0].strip().startswith(prose(7)[:20])
    alone = [f"{head.format(n)}\n" for n in range(20)]
    assert furniture_of([batch_of(alone)]).left_out(alone[7]) == (alone[7], 0), "it has nothing else to say"
    titled = [f"Incident report\n\n{prose(n)}\n" for n in range(20)]
    assert furniture_of([batch_of(titled)]).left_out(titled[7])[0].startswith("Incident report")


def test_a_checklist_repeats_itself_for_a_good_reason():
    lines = "\n".join(f"- north hall, position {n}: valve {n * 7} checked, no findings" for n in range(30))
    assert broken_rule(measure(lines)) is None


def test_a_table_of_numbers_under_words_is_no_dump():
    rows = "\n".join(f"| Pump {n} | {n}12 | {n}7 | {n}44 |" for n in range(20))
    assert broken_rule(measure(f"| Name | Bar | Litres | Hours |\n| --- | --- | --- | --- |\n{rows}")) is None


def test_words_that_no_mouth_can_say_are_no_text():
    draw = random.Random(3)
    words = " ".join("".join(draw.choices("bcdfghjklmnpqrstvwxz", k=6)) for _ in range(60))
    assert broken_rule(measure(words)) == "gibberish"
