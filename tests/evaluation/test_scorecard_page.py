"""The page of a scorecard loads nothing and says what the scorecard says."""

import re
from pathlib import Path

from release_case import Candidate

from forge_dagster.evaluation.card import read_card
from forge_dagster.evaluation.evidence import FILE, read_evidence
from forge_dagster.evaluation.scorecard_page import page


def test_the_page_stands_alone(candidate: Candidate, tmp_path: Path):
    folder = candidate.inputs["scorecard"]
    candidate.edit(lambda body: body["gates"][0].update(reason="<script>alert(1)</script>"))
    (tmp_path / "scores.png").write_bytes(b"\x89PNG")
    text = page(read_card(folder), read_evidence(folder / FILE), tmp_path / "scores.png")
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert not re.search(r"(src|href)=\"(?!data:)", text)
    assert "default-src 'none'" in text
    for said in ("0.900 ± 0.048", "0.767 .. 0.961", "facts_seen.acc", "passed"):
        assert said in text
