"""The label of a release is the strictest of its documents' terms, and names the documents that force it."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from assets.models import model_hops
from forge_dagster.corpus.corpus import TEXTS
from forge_dagster.corpus.rights import EVERYONE, joined, learnt_from, refuse_above
from forge_dagster.declared import Declared
from forge_dagster.errors import VerdictError
from forge_dagster.home import PROJECT
from forge_dagster.recipe import Limits, load_recipe
from forge_dagster.source import SENSITIVITIES
from forge_dagster.stage import local_context
from forge_dagster.stages import base, start

TERMS = {
    "sensitivity": "public", "licence": "internal", "audience": [EVERYONE], "permitted_use": ["training"],
    "jurisdiction": "SE",
}  # fmt: skip
DOCUMENT = st.fixed_dictionaries(
    {
        "sensitivity": st.sampled_from(SENSITIVITIES),
        "licence": st.sampled_from(["MIT", "internal"]),
        "audience": st.one_of(st.just([EVERYONE]), st.lists(st.sampled_from("abc"), min_size=1, unique=True)),
        "permitted_use": st.lists(st.sampled_from(["training", "evaluation"]), min_size=1, unique=True),
        "jurisdiction": st.sampled_from(["unknown", "EU", "US-CA"]),
        "retention": st.one_of(st.none(), st.sampled_from(["2027-01-01", "2028-01-01"])),
    }
)


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(
        [{"id": f"{n}", "source": "s", "path": f"{n}", **row} for n, row in enumerate(rows)], TEXTS
    )


@given(st.lists(DOCUMENT, min_size=1, max_size=6))
def test_the_label_allows_what_every_document_allows(rows: list[dict[str, Any]]) -> None:
    label = joined(_table(rows))
    assert label.sensitivity == max((row["sensitivity"] for row in rows), key=SENSITIVITIES.index)
    assert set(label.licences) == {row["licence"] for row in rows}
    assert set(label.jurisdictions) == {row["jurisdiction"] for row in rows}
    for person in "abc":
        may = all(person in row["audience"] or EVERYONE in row["audience"] for row in rows)
        assert may == (person in label.audience or label.audience == (EVERYONE,))
    for use in ("training", "evaluation"):
        assert (use in label.permitted_use) == all(use in row["permitted_use"] for row in rows)
    assert label.retention == min((row["retention"] for row in rows if row["retention"]), default=None)
    forced = label.forced_by["sensitivity"]
    assert forced.documents == sum(row["sensitivity"] == label.sensitivity for row in rows)
    # A document more never loosens a label: joined with what it has, it stays as it is.
    assert joined(_table([*rows, rows[0]])).model_dump(exclude={"forced_by"}) == label.model_dump(exclude={"forced_by"})


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"sensitivity": "internal"}, r"sensitivity above internal: 1 documents of s \(s/1\)"),
        ({"sensitivity": "confidential", "licences": ("MIT",)}, r"a licence other than MIT: 1 documents of s \(s/0\)"),
        (
            {"sensitivity": "confidential", "audience": ("sales",)},
            r"an audience without sales: 1 documents of s \(s/2\)",
        ),
        (
            {"sensitivity": "confidential", "jurisdictions": ("SE", "EU")},
            r"a law other than that of SE, EU: 1 documents of s \(s/2\)",
        ),
    ],
)
def test_documents_above_the_limits_are_named(limits: dict[str, Any], said: str) -> None:
    rows = [
        TERMS, {**TERMS, "sensitivity": "confidential", "licence": "MIT"},
        {**TERMS, "audience": ["board"], "licence": "MIT", "jurisdiction": "US-CA"},
    ]  # fmt: skip
    with pytest.raises(VerdictError, match=said) as error:
        refuse_above(_table(rows), Limits.model_validate(limits))
    assert error.value.exit_code == 4
    refuse_above(_table(rows), Limits(sensitivity="confidential", licences=("MIT", "internal"), audience=("board",)))


def test_a_corpus_of_before_there_were_jurisdictions_is_under_an_unknown_law(tmp_path: Path) -> None:
    pq.write_table(_table([TERMS]).drop_columns(["jurisdiction"]), tmp_path / "train.parquet")
    documents = learnt_from([tmp_path])
    assert joined(documents).jurisdictions == ("unknown",)
    with pytest.raises(VerdictError, match="a law other than that of SE: 1 documents"):
        refuse_above(documents, Limits(sensitivity="confidential", jurisdictions=("SE",)))


@pytest.mark.parametrize("said", ["se", "Sweden", "EU-", "S"])
def test_a_jurisdiction_is_a_code(said: str) -> None:
    with pytest.raises(ValidationError, match="jurisdiction"):
        Limits(sensitivity="public", jurisdictions=(said,))


def test_a_mixture_above_the_limits_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    """The first stage of a recipe with limits reads the corpus, and names its documents; nothing is written."""
    recipe = load_recipe(PROJECT / "recipes" / "tiny-dense.yaml")
    limited = recipe.model_copy(update={"limits": Limits(sensitivity="public")})
    declared = Declared(sources={}, recipes={recipe.name: limited}, policies={}, pairs={})
    first, *others = [hop for hop in model_hops(declared) if hop.asset.endswith("_checkpoint")]
    assert first.inputs["corpus"] == "corpus"
    assert all("corpus" not in hop.inputs for hop in others)
    job = first.config(declared)
    pq.write_table(_table([TERMS, {**TERMS, "sensitivity": "internal"}]), tmp_path / "train.parquet")
    (tmp_path / "out").mkdir()
    for stage in (base, start):
        with pytest.raises(VerdictError, match=r"sensitivity above public: 1 documents of s \(s/1\)"):
            stage.run({"corpus": tmp_path}, job, tmp_path / "out", local_context(tmp_path / "run"))
    assert list((tmp_path / "out").iterdir()) == []
    free = declared.model_copy(update={"recipes": {recipe.name: recipe}})
    assert all("corpus" not in hop.inputs for hop in model_hops(free) if hop.asset.endswith("_checkpoint"))
