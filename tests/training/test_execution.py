"""How to run is told by variables; what is none of the choices is refused with its name."""

import pytest

from forge_dagster.errors import RecipeError
from forge_dagster.training.execution import execution
from resources.compute import numerics


def test_what_changes_bits_is_in_the_numerics(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = numerics()
    monkeypatch.setenv("FORGE_RECOMPUTE", "1")
    assert numerics() == plain
    monkeypatch.setenv("FORGE_MICRO_BATCH", "1024")
    assert numerics() == plain | {"micro_batch_tokens": 1024}
    monkeypatch.setenv("FORGE_COMPILE", "1")
    assert numerics() == plain | {"micro_batch_tokens": 1024, "compiled": True}


def test_rows_of_a_pass() -> None:
    how = execution({"FORGE_MICRO_BATCH": "1000"})
    assert (how.micro_rows(256), how.micro_rows(2000)) == (3, 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [("FORGE_DEVICE", "tpu"), ("FORGE_MICRO_BATCH", "0"), ("FORGE_MICRO_BATCH", "many"), ("FORGE_COMPILE", "yes")],
)
def test_what_is_no_choice_is_refused(name: str, value: str) -> None:
    with pytest.raises(RecipeError, match=f"{name} = '{value}'"):
        execution({name: value})
