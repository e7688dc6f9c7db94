"""Bad input on the command line: one clear message, the right exit code, no traceback."""

import json
from pathlib import Path

import pytest

from forge_dagster.cli.main import main
from forge_dagster.home import PROJECT


@pytest.fixture
def forge(home, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    """Run `forge` in this process; return exit code, standard output, standard error."""
    for name in ("FORGE_SOURCES", "FORGE_RECIPES"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["forge", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        out, err = capfd.readouterr()
        return int(caught.value.code or 0), out, err

    return run


def test_a_missing_source_folder(forge, tmp_path: Path):
    code, _, err = forge("run", "--sources", str(tmp_path / "nowhere"))
    assert code == 2
    assert "no such folder" in err
    assert "Mend:" in err


def test_an_unknown_recipe(forge):
    code, _, err = forge("run", "--recipe", "huge")
    assert code == 2
    assert "tiny-dense" in err


def test_an_unknown_asset(forge):
    code, _, err = forge("run", "--select", "corpse")
    assert code == 2
    assert "forge status" in err


def test_a_broken_recipe(forge, tmp_path: Path, monkeypatch):
    (tmp_path / "recipes").mkdir()
    text = (PROJECT / "recipes" / "tiny-dense.yaml").read_text().replace("heads: 3", "heads: 5", 1)
    (tmp_path / "recipes" / "tiny-dense.yaml").write_text(text)
    monkeypatch.setenv("FORGE_RECIPES", str(tmp_path / "recipes"))
    code, _, err = forge("run")
    assert code == 2
    assert "heads = 5 does not divide hidden_size = 192" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("bisect", "tiny-dense@aa", "tiny-dense", "--plan"), "0 versions match"),
        (("bisect", "tiny-dense", "tiny-dense", "--json"), "programs are not asked"),
        (("compare-approaches", "--recipe", "huge"), "tiny-dense"),
        (("compare-approaches", "--weights", "a.gguf", "--general", "b"), "a base is given or trained"),
        (("compare-approaches", "--weights", "nowhere.gguf"), "no such file"),
    ],
)
def test_what_cannot_be_compared_or_looked_through(forge, arguments: tuple[str, ...], said: str):
    code, out, err = forge(*arguments)
    assert code == 2
    assert said in err
    assert not out


@pytest.mark.parametrize("artifact", ["corpus", "../../etc", "corpus@zz"])
def test_show_of_what_is_not_there(forge, artifact: str):
    code, _, err = forge("show", artifact)
    assert code == 2
    assert "Rule:" in err


def test_verify_without_a_release(forge):
    code, _, err = forge("verify")
    assert code == 2
    assert "no release" in err


def test_chat_without_a_release(forge):
    code, _, err = forge("chat", "tiny-dense", "--message", "hello")
    assert code == 2
    assert "forge run --recipe tiny-dense" in err


def test_status_of_an_empty_home_is_all_missing(forge):
    code, out, _ = forge("status", "--json")
    assert code == 0
    assert {row["state"] for row in json.loads(out)["artifacts"]} == {"missing"}


def test_schema_is_json_schema(forge):
    code, out, _ = forge("schema", "recipe")
    assert code == 0
    assert json.loads(out)["additionalProperties"] is False
    assert forge("schema", "nothing")[0] == 2


def test_sample_refuses_too_few(forge, tmp_path: Path):
    code, _, err = forge("sample", "--out", str(tmp_path / "s"), "--documents", "3")
    assert code == 2
    assert "3" in err


@pytest.mark.parametrize("command", ["run", "status", "show", "verify", "sample", "schema", "chat", "ui"])
def test_help_teaches(forge, command: str):
    code, out, _ = forge(command, "--help")
    assert code == 0
    assert len(out) > 200


def test_a_sample_with_too_much_dirt(forge, tmp_path: Path):
    code, _, err = forge("sample", "--out", str(tmp_path / "company"), "--documents", "40", "--dirt", "0.9")
    assert code == 2
    assert "dirt = 0.9" in err
    assert "Mend:" in err
    assert not (tmp_path / "company").exists()
