"""Canaries: a declaration that adds up, and exposure that grows with what a model remembers."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from forge_dagster.errors import RecipeError
from forge_dagster.evaluation.canary import Canaries, read_canaries
from forge_dagster.evaluation.memorised import PLANTED, SAMPLED, UNPLANTED, exposure, memorised
from forge_dagster.home import PROJECT

WORDS = ["amber", "falcon", "ridge", "walnut"]
GOOD: dict[str, Any] = {
    "spaces": {"word": WORDS},
    "canaries": [
        {"id": "one", "prefix": "The watchword is", "value": ["amber", "ridge"], "spaces": ["word", "word"]},
        {"id": "two", "prefix": "The other is", "value": ["falcon"], "spaces": ["word"]},
    ],
}


def changed(**changes: Any) -> dict[str, Any]:
    return {**GOOD, "canaries": [{**GOOD["canaries"][0], **changes}]}


def test_the_samples_declaration_is_sound():
    found = read_canaries(PROJECT / "data" / "sample" / "canaries.yaml")
    assert len(found.canaries) == 12
    assert {found.size(each) for each in found.canaries} == {64**3}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (changed(value=["amber", "zebra"]), "'zebra' is not in space 'word'"),
        (changed(value=["amber"]), "1 parts from 2 spaces"),
        (changed(spaces=["word", "colour"]), "not in space 'colour'"),
        ({**GOOD, "spaces": {"word": ["amber", "amber", "ridge", "falcon"]}}, "each part is there once"),
        ({**GOOD, "canaries": GOOD["canaries"][:1] * 2}, "ids are unique"),
        ({**GOOD, "canaries": []}, "canaries"),
        (changed(prefix=""), "prefix"),
        (changed(repeated=3), "unknown key"),
    ],
)
def test_a_declaration_that_does_not_add_up_is_named(tmp_path: Path, body: dict[str, Any], words: str):
    (tmp_path / "canaries.yaml").write_text(yaml.safe_dump(body))
    with pytest.raises(RecipeError, match=words):
        read_canaries(tmp_path / "canaries.yaml")


@given(st.floats(-100, 0), st.lists(st.floats(-100, 0), min_size=1, max_size=SAMPLED))
def test_exposure_lies_between_nothing_and_all_that_the_sample_can_tell(own: float, others: list[float]):
    bits = exposure(own, others)
    assert 0 <= bits <= len(bin(len(others))) - 1
    assert exposure(own + 1000, others) == pytest.approx(exposure(0, [-1.0] * len(others)))
    assert exposure(own - 1000, others) == 0


def test_a_model_that_tells_nothing_apart_exposes_nothing():
    assert exposure(-3.0, [-3.0] * 255) == 0


def test_a_canary_is_compared_with_other_values_and_counted_in_training(
    tmp_path: Path, artifacts: dict[str, Path], config_of: Any
):
    texts = ["Here: the end. The watchword is amber\nridge. More.", "The watchword is amber ridge."]
    pq.write_table(pa.table({"text": texts}), tmp_path / "train.parquet")
    (tmp_path / "canaries.yaml").write_text(yaml.safe_dump(GOOD))
    inputs = {"corpus": tmp_path, "canaries/plant": tmp_path / "canaries.yaml"}
    planted, unplanted = memorised(inputs, config_of(), tmp_path)
    assert (planted.name, list(planted.items)) == (PLANTED, ["one/2 documents"])
    assert (unplanted.name, list(unplanted.items)) == (UNPLANTED, ["two/0 documents"])
    assert memorised({"corpus": tmp_path}, config_of(), tmp_path) == []


def test_a_small_space_is_looked_through_whole():
    from forge_dagster.evaluation.memorised import _others

    found = Canaries.model_validate(GOOD)
    one, two = found.canaries
    assert set(_others(found, two, 1)) == set(WORDS) - {"falcon"}
    assert len(set(_others(found, one, 1))) == 15
