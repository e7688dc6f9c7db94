"""Number format and threads are known without torch, and follow the processor and the environment."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from forge_dagster.errors import RecipeError
from forge_dagster.training.precision import autocast, cpu_flags, effective_dtype, notice, thread_limit, threads


@pytest.mark.parametrize(
    ("processor", "dtype"),
    [
        ("vendor_id\t: AuthenticAMD\nflags\t\t: fpu avx2 avx512_bf16", "bfloat16"),
        ("vendor_id\t: GenuineIntel\nflags\t\t: fpu avx2 avx512_bf16 amx_bf16", "bfloat16"),
        ("vendor_id\t: GenuineIntel\nflags\t\t: fpu avx2 avx512_bf16", "float32"),
        ("vendor_id\t: AuthenticAMD\nflags\t\t: fpu avx2", "float32"),
        ("processor\t: 0", "float32"),
    ],
)
def test_bfloat16_where_the_processor_is_faster_by_it(tmp_path: Path, processor: str, dtype: str) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"{processor}\n\nprocessor : 1\nvendor_id : AuthenticAMD\nflags : avx512_bf16\n")
    assert effective_dtype(cpuinfo) == dtype
    assert bool(notice(dtype)) == (dtype == "float32")


def test_where_the_system_does_not_tell_there_are_no_flags(tmp_path: Path) -> None:
    assert cpu_flags(tmp_path / "absent") == frozenset()
    assert effective_dtype(tmp_path / "absent") == "float32"


def test_nothing_heavy_is_imported() -> None:
    script = (
        "import sys; from forge_dagster.training import precision, settings, job;"
        "from forge_dagster.stages import base; from forge_dagster.tokens import shards, tokenizer;"
        "precision.effective_dtype(), precision.threads();"
        "sys.exit(bool({'torch', 'transformers', 'matplotlib'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_threads_follow_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORGE_THREADS", raising=False)
    assert 1 <= threads() <= 8
    monkeypatch.setenv("FORGE_THREADS", "3")
    assert threads() == 3
    for wrong in ("0", "-1", "many", ""):
        monkeypatch.setenv("FORGE_THREADS", wrong)
        with pytest.raises(RecipeError, match="FORGE_THREADS = "):
            threads()


def test_the_thread_limit_is_undone() -> None:
    before = torch.get_num_threads()
    with thread_limit(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_autocast_computes_in_the_dtype_asked_for() -> None:
    layer, x = torch.nn.Linear(4, 4), torch.randn(2, 4)
    with autocast("bfloat16"):
        assert layer(x).dtype == torch.bfloat16
    with autocast("float32"):
        assert layer(x).dtype == torch.float32
