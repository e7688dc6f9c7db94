"""The readiness report counts what is there, ranks what to mend, names what to look at; twice it has the same bytes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from forge_dagster.corpus.readiness import assess
from forge_dagster.corpus.readiness.assessment import load
from forge_dagster.corpus.views import open_views, select
from forge_dagster.stage import Finding, LocalContext, NoConfig


def findings(folder: Path) -> dict[str, Finding]:
    return {finding.name: finding for finding in assess.check(folder)}


def test_what_came_is_accounted_for(data: Any):
    balance = {step["name"]: (step["came"], step["kept"]) for step in data["steps"]}
    assert balance["read"] == (54, 53)
    assert balance["clean"][1] == balance["deduplicate"][0]
    reasons = {(loss["reason"], loss["detail"]): loss["documents"] for loss in data["losses"]}
    assert reasons["symlink", ""] == 1
    assert reasons["exact-duplicate", ""] == 2
    assert reasons["superseded", ""] == 1
    assert reasons["unsupported-format", "doc"] == 1
    assert data["duplication"]["largest"][0]["documents"] == 1
    assert data["train_documents"] == sum(n for _, n in data["sizes"]["histogram"])


def test_ages_count_from_the_newest_document(data: Any):
    ages = data["ages"]
    assert (ages["oldest"], ages["newest"], ages["dated"]) == ("2018-05-01", "2025-05-01", 3)
    assert ages["by_year"] == [[2018, 1], [2024, 1], [2025, 1]]
    assert ages["older_than_three_years"] == 1


def test_redactions_tell_secrets_from_personal_data(data: Any):
    kinds = {each["kind"]: (each["spans"], each["is_secret"]) for each in data["replaced"]}
    assert kinds == {"EMAIL": (9, False), "aws-access-key": (1, True)}
    assert (data["sources"][0]["secrets"], data["sources"][0]["personal_data"]) == (1, 9)
    assert data["sensitivity"] == "confidential"


def test_what_blocks_a_release_comes_first_then_risks_then_tokens(data: Any):
    kinds = [fix["kind"] for fix in data["fixes"]]
    assert kinds == sorted(kinds, key=("blocks release", "risk", "tokens", "quality").index)
    problems = " | ".join(fix["problem"] for fix in data["fixes"])
    for part in ("licence unknown", "no legal basis", "keys, tokens or passwords", "format .doc", "do not say when"):
        assert part in problems
    gains = [fix["tokens"] for fix in data["fixes"] if fix["kind"] == "tokens"]
    assert gains == sorted(gains, reverse=True)


def test_every_command_that_is_named_can_be_run(data: Any, hops: Mapping[str, Path]):
    looks = [fix["look"] for fix in data["fixes"] if fix["look"]]
    assert len(looks) >= 5
    with open_views(hops) as connection:
        for look in looks:
            _, rows = select(connection, look.removeprefix('forge corpus query "').removesuffix('"'))
            assert rows, look


def test_the_worst_documents_are_named_with_their_reasons(data: Any):
    worst = {each["path"]: each["reasons"] for each in data["worst"]}
    path = next(path for path in worst if "script" in path)
    assert "personal data" in worst[path][0]
    assert data["lost"][0]["path"] == "broken.pdf"


def test_the_same_documents_give_the_same_bytes(
    report: Path, hops: Mapping[str, Path], context: LocalContext, tmp_path: Path
):
    again = tmp_path / "again"
    again.mkdir()
    told = assess.run(hops, NoConfig(), again, context)
    for name in ("readiness.json", "readiness.html"):
        assert (again / name).read_bytes() == (report / name).read_bytes()
    assert told.counts["train_tokens"] == load(again).tokens.train > 0


def test_the_plots_lie_beside_for_dagster(made: Path):
    drawn = {path.stem: path.stat().st_size for path in (made / "beside").glob("*.png")}
    assert {"support", "sizes", "languages", "ages", "duplication", "redactions", "rare_terms", "tokens"} <= set(drawn)
    assert all(1000 < size <= 200_000 for size in drawn.values())


def test_a_sound_report_passes_its_checks(report: Path):
    found = findings(report)
    assert tuple(found) == assess.STAGE.check_names
    assert all(finding.passed for finding in found.values())


@pytest.mark.parametrize("spoil", ["steps", "losses", "sources", "languages"])
def test_counts_that_do_not_add_up_are_refused(report: Path, data: Any, spoil: str):
    entry = data[spoil][-1]
    entry[{"steps": "kept", "losses": "documents", "sources": "entries", "languages": "bytes"}[spoil]] += 1
    (report / "readiness.json").write_text(json.dumps(data))
    assert not findings(report)["counts_reconcile"].passed


def test_a_verdict_that_the_tokens_do_not_bear_is_refused(report: Path, data: Any):
    data["routes"][0]["verdict"] = "yes"
    (report / "readiness.json").write_text(json.dumps(data))
    assert not findings(report)["routes_follow_from_the_tokens"].passed


@pytest.mark.parametrize(
    "added",
    [
        "<script>1</script>",
        "<img src=https://example.org/x.png>",
        "<p onclick=x()>",
        "<link rel=stylesheet href=x.css>",
        "<a href='javascript:x()'>",
        "<meta http-equiv=refresh content='0;url=https://example.org'>",
    ],
)
def test_a_page_that_loads_or_runs_something_is_refused(report: Path, added: str):
    page = report / "readiness.html"
    page.write_text(page.read_text().replace("</body>", f"{added}</body>"))
    assert not findings(report)["the_page_loads_nothing"].passed


def test_a_page_without_its_policy_is_refused(report: Path):
    page = report / "readiness.html"
    page.write_text(page.read_text().replace("Content-Security-Policy", "X"))
    assert not findings(report)["the_page_loads_nothing"].passed


def test_what_documents_say_is_escaped(report: Path):
    page = (report / "readiness.html").read_text()
    assert "<script" not in page.lower()
    assert "&lt;script&gt;document.title=" in page
