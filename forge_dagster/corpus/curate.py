"""What is decided on one document alone: language, quality, redaction, and whether it is kept."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal

from forge_dagster.corpus.language import NONE, language_of
from forge_dagster.corpus.names import READ_AS
from forge_dagster.corpus.quality import broken_rule, measure
from forge_dagster.corpus.redact import Span, redact
from forge_dagster.corpus.signature import sign
from forge_dagster.source import Cleaning
from forge_dagster.stage import FrozenModel

PROSE = ("plain", "html", "pdf", "docx", "odt", "epub", "rst", "mail", "pptx", "man")  # formats all rules are for


class Curated(FrozenModel):
    """A document after the rules: its text as it may be trained on, and the decision with its reason."""

    disposition: Literal["kept", "dropped"]
    reason: str = ""
    title: str
    text: str
    language: str
    quality: Mapping[str, float] = {}
    redactions: tuple[Span, ...] = ()
    """In the text before redaction; never the value."""
    bands: str = ""
    shingles: str = ""
    """The signature of the text as it is kept, in hexadecimal."""


def curate(title: str, text: str, format_: str, cleaning: Cleaning) -> Curated:
    """Apply a source's cleaning to one document; the first rule that takes it names the reason."""
    found: dict[str, Any] = {"title": title, "text": text, "language": language_of(text, format_)}
    if not text.strip():
        return Curated(disposition="dropped", reason="empty-text", **found)
    if len(text) < cleaning.shortest:
        return Curated(disposition="dropped", reason="too-short", **found)
    if cleaning.languages and found["language"] not in (*cleaning.languages, NONE):
        return Curated(disposition="dropped", reason=f"language:{found['language']}", **found)
    quality = measure(text)
    found["quality"] = asdict(quality)
    rule = broken_rule(quality, prose=format_ in PROSE) if cleaning.quality else None
    if rule:
        return Curated(disposition="dropped", reason=f"quality:{rule}", **found)
    kinds = {
        "pii": cleaning.pii,
        "secrets": cleaning.secrets,
        "names": cleaning.names and found["language"] in READ_AS,
    }
    found["title"], _ = redact(title, **kinds)
    found["text"], spans = redact(text, **kinds)
    signature = {name: value.hex() for name, value in sign(found["text"])._asdict().items()}
    return Curated(disposition="kept", redactions=tuple(spans), **found, **signature)
