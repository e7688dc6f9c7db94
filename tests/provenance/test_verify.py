"""The verifier names every file that differs, everywhere upstream, and shares no code with the writer."""

import ast
from pathlib import Path

import pytest

import forge_dagster.provenance.verify as verifier
from forge_dagster.provenance.run import Run
from forge_dagster.provenance.verify import everything, verify


@pytest.fixture
def chain(home, toy, make):
    """Three artifacts, each made from the one before."""
    run = Run(home, "one")
    make(run, "a", toy("toy_va", "one"))
    make(run, "b", toy("toy_vb", "two"), previous="a")
    built = make(run, "deep/c", toy("toy_vc", "three"), previous="b")
    return home, ("deep/c", built.record.digest)


def test_an_honest_chain_verifies(chain):
    home, target = chain
    found = verify(home.artifacts, home.ledger, [target])
    assert found.problems == []
    assert (found.artifacts, found.files) == (3, 3)
    assert found.bytes == len("one") + len("onetwo") + len("onetwothree")


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def test_a_flipped_byte_in_any_file_is_named(chain):
    home, target = chain
    paths = [*home.artifacts.rglob("content/*"), *home.artifacts.rglob("records/*")]
    assert len(paths) == 6
    for path in paths:
        before = path.read_bytes()
        flip(path)
        problems = verify(home.artifacts, home.ledger, [target]).problems
        assert any(str(path) in problem for problem in problems), path
        path.write_bytes(before)
    assert verify(home.artifacts, home.ledger, [target]).problems == []


@pytest.mark.parametrize("harm", ["missing", "extra", "record", "version", "ledger"])
def test_every_harm_is_a_problem(chain, harm: str):
    home, target = chain
    content = next((home.artifacts / "a").glob("*/content"))
    if harm == "missing":
        (content / "text.txt").unlink()
    elif harm == "extra":
        (content / "extra.txt").write_text("")
    elif harm == "record":
        next(content.parent.glob("records/*")).unlink()
    elif harm == "version":
        content.parent.rename(content.parent.with_name("0" * 64))
    else:
        home.ledger.unlink()
    assert verify(home.artifacts, home.ledger, [target]).problems


def test_everything_finds_every_version(chain):
    home, _ = chain
    assert sorted(key for key, _ in everything(home.artifacts)) == ["a", "b", "deep/c"]


def test_the_verifier_imports_nothing_of_the_writer():
    tree = ast.parse(Path(verifier.__file__).read_text())
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not [name for name in modules if name and name.startswith("forge_dagster")]
