"""The report as one HTML page that loads nothing: no script, no request, every word of a document escaped."""

import base64
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from markupsafe import Markup, escape

from forge_dagster.corpus.readiness.assessment import Assessment
from forge_dagster.corpus.readiness.plots import PLOTS
from forge_dagster.corpus.readiness.support import REFERENCES, amount
from forge_dagster.html_page import filled

LARGE = 100_000  # from here on three digits say enough
QUOTED = re.compile("`([^`]+)`")
TEMPLATE = Path(__file__).with_suffix(".html").read_text(encoding="utf-8")  # when the code is: they are of one version


def page(found: Assessment, drawn: Mapping[str, str]) -> str:
    """HTML of the report; `drawn` holds the SVG of each plot that has something to show."""
    filters: dict[str, Callable[..., str]] = {
        "amount": amount,
        "size": _size,
        "percent": _percent,
        "count": _count,
        "marked": _marked,
    }
    images = {name: base64.b64encode(svg.encode()).decode() for name, svg in drawn.items()}
    return filled(TEMPLATE, filters, found=found, images=images, plots=PLOTS, references=REFERENCES)


def _size(number: int) -> str:
    value = float(number)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} GB"


def _count(number: int) -> str:
    return f"{number:,}" if number < LARGE else amount(number)


def _marked(text: str) -> Markup:
    """Escaped; what stands between backticks is code."""
    return Markup(QUOTED.sub(r"<code>\1</code>", str(escape(text))))


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
