"""What `forge assess` prints: the report in short, and no word of a document that steers the terminal."""

import io

import pytest
from rich.console import Console

from forge_dagster.cli import assess
from forge_dagster.corpus.readiness.assessment import (
    Ages,
    Assessment,
    Duplication,
    Fix,
    LanguageShare,
    Sizes,
    Step,
    Tokens,
    Worst,
)
from forge_dagster.corpus.readiness.support import routes, verdict


@pytest.fixture
def found() -> Assessment:
    """A report of a document whose name is hostile."""
    path = "a\x1b[2Jb[red]c\u202ed.html"
    return Assessment(
        sensitivity="internal",
        steps=(Step(name="read", came=12, kept=11, dropped=1, quarantined=0),),
        losses=(),
        sources=(),
        train_documents=11,
        train_bytes=4_000_000,
        sizes=Sizes(smallest=1, median=2, mean=2, largest=3, histogram=((1, 11),), largest_share=0.2, top_ten_share=1),
        languages=(LanguageShare(language="en", documents=11, bytes=4_000_000),),
        ages=Ages(dated=0, undated=11, oldest=None, newest=None, by_year=(), older_than_three_years=0),
        duplication=Duplication(
            unique=11, exact=1, near=0, superseded=0, unique_bytes=4_000_000, repeated_bytes=9, largest=()
        ),
        replaced=(),
        tokens=Tokens(
            sampled_bytes=4_000_000,
            vocabulary=32_768,
            bytes_per_token=4.0,
            error=0.02,
            train=1_000_000,
            validation=0,
            test=0,
            curve=(),
            advised=2048,
            seen_often=True,
            running_words=0,
            distinct_words=0,
            bands=(),
        ),
        verdict=verdict(1_000_000),
        routes=routes(1_000_000),
        fixes=(Fix(kind="risk", problem=f"it is {path}", stake="rest", tokens=0, mend="set `x`", look=""),),
        worst=(Worst(id="0123456789abcdef", source="s", path=path, title="t", bytes=1, reasons=("torn",)),),
        lost=(),
    )


def test_the_report_is_printed_and_steers_nothing(found: Assessment, monkeypatch: pytest.MonkeyPatch):
    printed = io.StringIO()
    monkeypatch.setattr(assess, "out", Console(file=printed, width=160, highlight=False))
    assess.show(found)
    text = printed.getvalue()
    for part in ("Enough for LoRA", "1 M tokens, 4.0 MB; 11 documents of 12 files", "4.00 ± 0.02 bytes a token"):
        assert part in text
    assert "forge inspect 0123456789ab" in text
    assert "a\\x1b[2Jb[red]c\\u202ed.html" in text
    assert not set(text) & {"\x1b", "\u202e"}
