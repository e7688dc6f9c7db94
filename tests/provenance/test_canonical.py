"""Canonical JSON has one form for a value and refuses what has none."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_dagster.errors import UserError
from forge_dagster.provenance.canonical import canonical_json, fingerprint

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text("aé\n"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abc"), plain, max_size=5))
def test_order_of_keys_does_not_matter(value: dict[str, object]) -> None:
    backwards = dict(reversed(list(value.items())))
    assert canonical_json(value) == canonical_json(backwards)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1: 2}, {1, 2}, b"x", Path("a"), print, object()])
def test_refuses_what_has_no_canonical_form(value: object) -> None:
    with pytest.raises(UserError):
        canonical_json({"key": value})


def test_fingerprint_tells_values_apart() -> None:
    assert len({fingerprint(value) for value in (1, 1.5, "1", [1], {"a": 1}, None, True)}) == 7
