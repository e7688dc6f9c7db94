"""HTML pages that load nothing from elsewhere: one look for all of them, and one way to fill them in."""

import base64
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

STYLE = Path(__file__).with_suffix(".css").read_text(encoding="utf-8").rstrip()
"""What every page looks like; a template has it where it says `{{ style }}`, before rules of its own."""


def filled(template: str, filters: Mapping[str, Callable[..., Any]] | None = None, **values: Any) -> str:
    """HTML of a template; every value is escaped, and one that is missing raises UndefinedError."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= filters or {}
    return environment.from_string(template).render(style=Markup(STYLE), **values)


def script_hash(script: str) -> str:
    """SHA-256 of a script in base64, by which a page's Content-Security-Policy allows it and no other."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
