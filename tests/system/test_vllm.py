"""`forge serve --engine vllm` over a real vLLM, where there is one: it needs an environment of several gigabytes."""

import importlib.util
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import psutil
import pytest
from served import ServeProcess, answering_home

from benchmarks._answering_release import ANSWERS
from benchmarks._small_release import KEY
from forge_dagster.home import Home
from forge_dagster.model.vllm import PYTHON
from forge_dagster.provenance.store import ArtifactStore

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        not os.environ.get(PYTHON) and importlib.util.find_spec("vllm") is None,
        reason=f"no vLLM: pip install '.[vllm]' in another environment, {PYTHON}=ITS/bin/python",
    ),
]
SMALL = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}  # GiB; as many may run beside it


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return answering_home(tmp_path_factory.mktemp("answering"))


@pytest.fixture(scope="module")
def server(home: Home) -> Iterator[ServeProcess]:
    started = ServeProcess(home, "--engine", "vllm", "--slots", "4", "--measure-every", "1", **SMALL)
    yield started
    below = psutil.Process(started.process.pid).children(recursive=True)
    assert started.stop() == 0
    assert psutil.wait_procs(below, timeout=30)[1] == []


@pytest.fixture
def client(server: ServeProcess) -> openai.OpenAI:
    return server.client()


def test_it_answers_by_heart_whole_and_in_pieces_and_many_at_once(home: Home, client: openai.OpenAI) -> None:
    def ask(question: str, streamed: bool) -> str:
        asked = {"model": "small", "messages": [{"role": "user", "content": question}], "stream": streamed}
        told = client.chat.completions.create(**asked)
        if not streamed:
            assert told.choices[0].finish_reason == "stop"
            return str(told.choices[0].message.content)
        return "".join(event.choices[0].delta.content or "" for event in told)

    asked = [(question, streamed) for question in ANSWERS for streamed in (False, True)] * 2
    with ThreadPoolExecutor(len(asked)) as pool:
        given = list(pool.map(lambda each: ask(*each), asked))
    assert given == [ANSWERS[question] for question, _ in asked]


def test_the_release_is_named_and_lengths_stops_and_drawing_hold(home: Home, server: ServeProcess) -> None:
    def complete(**more: Any) -> dict[str, Any]:
        body = {"model": "small", "prompt": "Notes of the plant. ", **more}
        reply = httpx.post(f"{server.url}/v1/completions", json=body, timeout=120)
        digest = ArtifactStore(home.artifacts).serving(KEY)
        assert reply.headers["x-forge-release"] == f"{KEY}@{digest}"
        return dict(reply.raise_for_status().json())

    short = complete(max_tokens=5)
    assert short["usage"]["completion_tokens"] == 5
    assert short["choices"][0]["finish_reason"] == "length"
    drawn = {complete(max_tokens=20, temperature=2.0)["choices"][0]["text"] for _ in range(4)}
    assert len(drawn) > 1
    refused = httpx.post(f"{server.url}/v1/completions", json={"model": "small", "prompt": "a " * 4000})
    assert refused.status_code == 400
    assert "context_length_exceeded" in refused.text


def test_a_reader_who_leaves_frees_the_slot_and_prompts_are_measured(server: ServeProcess) -> None:
    body = {"model": "small", "prompt": "Who", "stream": True, "temperature": 2.0, "max_tokens": 200}
    for _ in range(6):  # more than there are slots
        with httpx.stream("POST", f"{server.url}/v1/completions", json=body, timeout=120) as reply:
            next(reply.iter_lines())
    assert httpx.post(f"{server.url}/v1/completions", json={**body, "stream": False, "max_tokens": 2}).is_success
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    found = {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}
    assert found["forge_prompt_bits_total"] > found["forge_prompt_bytes_total"] > 0


def test_a_vllm_that_dies_is_told(home: Home) -> None:
    started = ServeProcess(home, "--engine", "vllm", "--slots", "1", **SMALL)
    below = psutil.Process(started.process.pid).children(recursive=True)
    body = {"model": "small", "prompt": "Who", "max_tokens": 2}
    assert httpx.post(f"{started.url}/v1/completions", json=body, timeout=120).is_success
    os.kill(below[0].pid, signal.SIGKILL)
    failed = httpx.post(f"{started.url}/v1/completions", json=body, timeout=120)
    assert failed.status_code == 503
    assert "vLLM stopped" in failed.text
    assert httpx.get(f"{started.url}/health").status_code == 503
    assert started.stop() == 0
    assert psutil.wait_procs(below, timeout=60)[1] == []


def test_nothing_of_vllm_outlives_a_killed_server(home: Home) -> None:
    started = ServeProcess(home, "--engine", "vllm", "--slots", "1", **SMALL)
    below = psutil.Process(started.process.pid).children(recursive=True)
    assert len(below) > 1
    started.process.kill()
    started.process.communicate(timeout=60)
    assert psutil.wait_procs(below, timeout=60)[1] == []
