"""The code version follows the imports of a stage, and nothing else."""

import sys
from pathlib import Path

import pytest

from forge_dagster.provenance.code_version import closure, code_version


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Three modules: `stage_x` imports `helper_x` inside a function; `other_x` stands alone."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("forge_dagster.provenance.code_version.PACKAGE", "helper_x")
    (tmp_path / "helper_x.py").write_text("VALUE = 1\n")
    (tmp_path / "stage_x.py").write_text("import yaml\ndef run():\n    from helper_x import VALUE\n    return VALUE\n")

    def clear() -> None:
        from forge_dagster.provenance import code_version as module

        for each in vars(module).values():
            if hasattr(each, "cache_clear"):
                each.cache_clear()

    clear()
    yield tmp_path, clear
    clear()


def test_imports_inside_functions_count(package):
    own, third = closure("stage_x")
    assert set(own) == {"stage_x", "helper_x"}
    assert third == {"yaml"}


def test_a_change_in_the_closure_changes_the_version(package):
    folder, clear = package
    before = code_version("stage_x")
    (folder / "helper_x.py").write_text("VALUE = 2\n")
    clear()
    assert code_version("stage_x") != before


def test_a_change_outside_the_closure_does_not(package):
    folder, clear = package
    before = code_version("stage_x")
    (folder / "other_x.py").write_text("VALUE = 3\n")
    clear()
    assert code_version("stage_x") == before


def test_a_file_that_bears_a_module_s_name_is_part_of_it(package):
    folder, clear = package
    versions = []
    for template in ("<p>1</p>", "<p>2</p>"):
        (folder / "helper_x.html").write_text(template)
        clear()
        versions.append(code_version("stage_x"))
    (folder / "other_x.html").write_text("of no module in the closure")
    clear()
    assert len({*versions, code_version("stage_x")}) == 2


def test_nothing_is_imported_to_know_the_version(package):
    closure("stage_x")
    assert not {"stage_x", "helper_x"} & set(sys.modules)
