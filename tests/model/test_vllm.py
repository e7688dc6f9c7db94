"""The way to vLLM and back, over an emulation of its protocol; tests/system/test_vllm.py has the real one."""

import asyncio
import json
import math
import shlex
import sys
from collections.abc import Iterator
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from forge_dagster.errors import ForgeError, UserError
from forge_dagster.model.vllm import PYTHON, VllmEngine, python_with_vllm
from forge_dagster.tokens.bpe import trained
from forge_dagster.tokens.control import END_ID, ENDS

EMULATION = Path(__file__).with_name("emulated_vllm.py")
SAMPLING = {"temperature": 0.5, "top_p": 0.9}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("model")
    trained(iter([["The blue lamp is lit."] * 2]), vocab_size=300).save(str(made / "tokenizer.json"))
    (made / "config.json").write_text(json.dumps({"max_position_embeddings": 64, "dtype": "bfloat16"}))
    return made


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stands in for a Python that has vLLM: it starts the emulation with what vLLM is told."""
    made = tmp_path_factory.mktemp("environment") / "python"
    made.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(EMULATION))} "$@"\n')
    made.chmod(0o755)
    return made


@pytest.fixture(scope="module")
def engine(folder: Path, python: Path) -> Iterator[VllmEngine]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(PYTHON, str(python))
        made = VllmEngine(folder, slots=3)
    yield made
    made.stop()


def answered(engine: VllmEngine, prompt: list[int], *, most: int = 20, stepwise: bool = True) -> list[list[int]]:
    async def take() -> list[list[int]]:
        engine.start()
        return [ids async for ids in engine.answer(prompt, most=most, stepwise=stepwise, **SAMPLING)]

    return asyncio.run(take())


def asked(folder: Path) -> list[Any]:
    return [json.loads(line) for line in (folder / "asked.jsonl").read_text().splitlines()]


def test_tokens_go_in_and_come_out_at_once_or_as_they_come(engine: VllmEngine, folder: Path) -> None:
    assert answered(engine, [10, 11, 12]) == [[12], [11], [10], [END_ID]]
    assert answered(engine, [10, 11, 12], stepwise=False) == [[12, 11, 10, END_ID]]
    assert answered(engine, [10, 11, 12], most=2) == [[12], [11]]
    last = [each for each in asked(folder) if each != "left"][-1]
    assert {name: last[name] for name in SAMPLING} == SAMPLING
    assert (last["max_tokens"], last["stop_token_ids"], last["prompt"]) == (2, list(ENDS), [10, 11, 12])


def test_it_is_told_of_folder_format_and_slots_and_shares_no_prefix(engine: VllmEngine, folder: Path) -> None:
    said = psutil.Process(engine._process.pid).cmdline()
    options = dict(pairwise(said))
    wanted = {"--model": str(folder), "--max-model-len": "64", "--max-num-seqs": "3", "--dtype": "bfloat16"}
    assert {name: options[name] for name in wanted} == wanted
    assert "--no-enable-prefix-caching" in said
    assert Path(options["--uds"]).parent.stat().st_mode & 0o077 == 0


def test_surprise_is_of_the_texts_own_tokens(engine: VllmEngine) -> None:
    async def measured() -> tuple[float, int]:
        engine.start()
        return await engine.surprise("The blue lamp is lit.")

    bits, size = asyncio.run(measured())
    tokens = len(engine.encoder.encode("The blue lamp is lit.", add_special_tokens=False).ids)
    assert bits == pytest.approx(0.5 * tokens / math.log(2))
    assert size == len("The blue lamp is lit.")


def test_whoever_leaves_ends_the_generation(engine: VllmEngine, folder: Path) -> None:
    async def leave() -> None:
        engine.start()
        async with aclosing(engine.answer([9], most=10**6, stepwise=True, **SAMPLING)) as steps:
            assert await anext(steps) == [9]
        for _ in range(200):
            if asked(folder)[-1] == "left":
                return
            await asyncio.sleep(0.05)
        raise AssertionError("it still generates")

    asyncio.run(leave())


@pytest.mark.parametrize(("first", "why"), [(7, "no such thing"), (8, "the engine is dead")])
def test_a_refusal_or_a_failure_in_the_middle_is_an_error(engine: VllmEngine, first: int, why: str) -> None:
    with pytest.raises(ForgeError, match=f"vLLM stopped: .*{why}"):
        answered(engine, [first, 1, 2])
    assert engine.is_alive


def test_once_it_has_died_it_is_not_alive_and_takes_nothing(
    folder: Path, python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PYTHON, str(python))
    engine = VllmEngine(folder, slots=1)
    try:
        psutil.Process(engine._process.pid).kill()
        engine._process.wait(30)
        assert not engine.is_alive
        with pytest.raises(ForgeError, match="vLLM stopped: it ended with -9"):
            answered(engine, [10])
    finally:
        engine.stop()


def test_without_vllm_it_says_how_to_get_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PYTHON, raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="--engine vllm without vLLM"):
        python_with_vllm()
    monkeypatch.setenv(PYTHON, "/nowhere/python")
    with pytest.raises(UserError, match="FORGE_VLLM=/nowhere/python"):
        python_with_vllm()


def test_one_that_ends_before_it_answers_shows_what_it_said(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying = tmp_path / "python"
    dying.write_text("#!/bin/sh\necho out of memory; exit 3\n")
    dying.chmod(0o755)
    monkeypatch.setenv(PYTHON, str(dying))
    with pytest.raises(ForgeError, match=r"it ended with 3\nRule: out of memory"):
        VllmEngine(folder, slots=1)
