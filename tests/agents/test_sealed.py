"""Items that ask one thing lie on one side, whatever the items are; what is told of sealed ones is rounded."""

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from forge_dagster.agents.quota import Sealing
from forge_dagster.agents.sealed import Seal
from forge_dagster.evaluation.score import Result

SEALING = Sealing(development_share=0.3, rounding=0.05)


def benchmark(folder: Path) -> Path:
    """Two wordings of facts, and blocks of four."""
    (folder / "items").mkdir(parents=True)
    tasks = {
        "facts_seen": [{"id": f"facts_seen/{n}", "fact": str(n)} for n in range(200)],
        "facts_unseen": [{"id": f"facts_unseen/{n}", "fact": str(n)} for n in range(200)],
        "cloze": [{"id": f"cloze/i{n}", "block": f"b{n // 4}"} for n in range(400)],
    }
    listed = [{"name": name, "items": f"items/{name}.jsonl"} for name in tasks]
    (folder / "benchmark.json").write_text(json.dumps({"tasks": listed}))
    for name, items in tasks.items():
        (folder / "items" / f"{name}.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    return folder


def test_wordings_of_a_fact_and_items_of_a_block_stay_together(tmp_path: Path):
    seal = Seal(SEALING, benchmark(tmp_path))
    shown = [seal.shows(f"facts_seen/{n}") for n in range(200)]
    assert shown == [seal.shows(f"facts_unseen/{n}") for n in range(200)]
    assert shown == [seal.shows(f"pooled/facts_unseen/{n}") for n in range(200)]
    assert 30 < sum(shown) < 90
    for block in range(100):
        assert len({seal.shows(f"cloze/i{4 * block + n}") for n in range(4)}) == 1


@given(st.lists(st.from_regex(r"[a-z_]{1,8}/[0-9a-f]{1,8}", fullmatch=True), min_size=1, max_size=20, unique=True))
def test_the_side_is_decided_by_the_item_alone(ids: list[str]):
    first, again = Seal(SEALING, None), Seal(SEALING, None)
    assert [first.shows(each) for each in ids] == [again.shows(each) for each in reversed(ids)][::-1]
    rows = [Result("acc", each, "d", each, 1.0) for each in ids]
    development = first.development({"t.acc": rows}).get("t.acc", [])
    assert {row.item for row in development} == {each for each in ids if first.shows(each)}


@given(st.floats(min_value=-100, max_value=100))
def test_a_rounded_score_is_a_multiple_and_near(value: float):
    rounded = Seal(SEALING, None).rounded(value)
    assert abs(rounded - value) <= SEALING.rounding / 2 + 1e-6
    assert abs(rounded / SEALING.rounding - round(rounded / SEALING.rounding)) < 1e-3
