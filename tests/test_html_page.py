"""What a page is filled with is text, whatever it holds; what is missing is no silent gap."""

import pytest
from jinja2 import UndefinedError

from forge_dagster.html_page import STYLE, filled


def test_values_are_escaped_and_the_style_is_not():
    found = filled("<style>{{ style }}</style><p>{{ said | loud }}", {"loud": str.upper}, said="<b>&")
    assert found == f"<style>{STYLE}</style><p>&lt;B&gt;&amp;"
    assert "<" not in STYLE


def test_a_missing_value_is_an_error():
    with pytest.raises(UndefinedError, match="said"):
        filled("{{ said }}")
