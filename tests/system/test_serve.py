"""`forge serve` over a real model: OpenAI's client, a thousand connections, a tampered release, a browser."""

import asyncio
import json
import math
import resource
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import psutil
import pytest
from served import ServeProcess, answering_home, start

from benchmarks._answering_release import ANSWERS
from benchmarks._small_release import KEY
from forge_dagster.export import Row
from forge_dagster.home import Home
from forge_dagster.model.conversation import Conversation
from forge_dagster.model.runner import Transformers
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.tokens.control import END_OF_TEXT_ID

pytestmark = pytest.mark.system

QUESTION, ANSWER = next(iter(ANSWERS.items()))
MANY = 1_000  # connections
SLOTS, QUEUE = 4, 12


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return answering_home(tmp_path_factory.mktemp("answering"))


@pytest.fixture(scope="module")
def server(home: Home) -> Iterator[ServeProcess]:
    started = ServeProcess(home, "--slots", str(SLOTS), "--queue", str(QUEUE), "--keep-prompts", "--measure-every", "1")
    yield started
    assert started.stop() == 0


@pytest.fixture
def client(server: ServeProcess) -> openai.OpenAI:
    return server.client()


def ask(client: openai.OpenAI, question: str, **more: Any) -> Any:
    return client.chat.completions.create(model="small", messages=[{"role": "user", "content": question}], **more)


def metric(server: ServeProcess, name: str) -> float:
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def test_it_answers_as_the_model_does_alone_many_at_once_and_in_pieces(home: Home, client: openai.OpenAI) -> None:
    folder = ArtifactStore(home.artifacts).content(KEY, str(ArtifactStore(home.artifacts).serving(KEY))) / "model"
    alone = Conversation(folder)
    for question, answer in ANSWERS.items():
        assert alone.ask(question, max_new_tokens=100, temperature=0) == answer
    questions = list(ANSWERS) * 3
    with ThreadPoolExecutor(len(questions)) as pool:
        warm = pool.submit(ask, client, QUESTION, temperature=2.0, max_tokens=60)
        answers = [each.choices[0].message.content for each in pool.map(lambda q: ask(client, q), questions)]
    assert answers == [ANSWERS[question] for question in questions], "beside others and beside one that is drawn"
    assert warm.result().choices[0].message.content != ANSWER
    pieces = [event.choices[0].delta.content or "" for event in ask(client, QUESTION, stream=True)]
    assert "".join(pieces) == ANSWER
    assert len(pieces) > 5
    assert ask(client, QUESTION, stop=["feeds"]).choices[0].message.content == ANSWER.partition("feeds")[0]


def test_the_surprise_at_prompts_is_that_of_the_model_alone(
    home: Home, server: ServeProcess, client: openai.OpenAI
) -> None:
    folder = ArtifactStore(home.artifacts).content(KEY, str(ArtifactStore(home.artifacts).serving(KEY))) / "model"
    alone, text = Transformers(folder), "Quite another question: what do the zebras of Zanzibar eat on Sundays?"
    (nats,) = alone.log_probabilities([Row([END_OF_TEXT_ID, *alone.encode(text)], 1)])
    settled(server)
    before = metric(server, "forge_prompt_bits_total"), metric(server, "forge_prompt_bytes_total")
    ask(client, text, max_tokens=2)
    settled(server)
    bits = metric(server, "forge_prompt_bits_total") - before[0]
    assert bits == pytest.approx(-nats.sum() / math.log(2), rel=1e-4)
    assert metric(server, "forge_prompt_bytes_total") - before[1] == len(text.encode())


def settled(server: ServeProcess) -> None:
    """Wait until no prompt waits to be measured."""
    last = None
    while (now := metric(server, "forge_prompt_bytes_total")) != last:
        last = now
        time.sleep(2)


def test_who_leaves_a_stream_frees_its_slot(server: ServeProcess, client: openai.OpenAI) -> None:
    before = metric(server, 'forge_answers_total{end="unfinished"}')
    for _ in range(SLOTS + 1):
        stream = ask(client, QUESTION, stream=True, temperature=2.0)
        next(iter(stream))
        stream.close()
    ends = time.monotonic() + 60
    while metric(server, "forge_answers_running"):
        assert time.monotonic() < ends
        time.sleep(0.1)
    assert metric(server, 'forge_answers_total{end="unfinished"}') > before
    assert ask(client, QUESTION).choices[0].message.content == ANSWER


def test_a_thousand_connections_are_bounded_and_outlived(server: ServeProcess, client: openai.OpenAI) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(4 * MANY, hard)), hard))
    host, port = httpx.URL(server.url).host, httpx.URL(server.url).port
    data = json.dumps({"model": "small", "messages": [{"role": "user", "content": QUESTION}]}).encode()
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(data)}\r\nConnection: close\r\n\r\n".encode() + data
    begin = asyncio.Event()

    async def one() -> tuple[int, bool]:
        reader, writer = await asyncio.open_connection(host, port)
        await begin.wait()
        writer.write(request)
        reply = await reader.read()
        writer.close()
        return int(reply.split()[1]), b"retry-after" in reply.lower()

    async def all_at_once() -> list[tuple[int, bool]]:
        tasks = [asyncio.create_task(one()) for _ in range(MANY)]
        await asyncio.sleep(0.5)
        begin.set()
        return await asyncio.gather(*tasks)

    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    found = Counter(asyncio.run(all_at_once()))
    assert found.keys() == {(200, False), (503, True)}
    assert SLOTS + QUEUE <= found[200, False] < MANY
    assert process.memory_info().rss - before < 200e6
    assert ask(client, QUESTION).choices[0].message.content == ANSWER


def test_a_tampered_release_takes_no_port(home: Home, tmp_path: Path) -> None:
    copied = Home(tmp_path / "home")
    shutil.copytree(home.root, copied.root, symlinks=True)
    (weights,) = (copied.artifacts / KEY).glob("*/content/model/model.safetensors")
    before = weights.read_bytes()
    weights.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    out, said = start(copied).communicate(timeout=600)
    assert out == ""
    assert "model.safetensors differs" in " ".join(said.split())


def test_the_page_streams_an_answer_with_release_terms_and_trace(
    server: ServeProcess, browser: Any, home: Home, tmp_path: Path
) -> None:
    said: list[str] = []
    fetched: list[str] = []
    page = browser.new_page(viewport={"width": 1000, "height": 800})
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: fetched.append(request.url))
    page.goto(server.url)
    page.get_by_text(server.told["release"]).wait_for()
    assert "Terms: internal; for everyone" in page.locator("#label").inner_text()
    page.fill("#question", QUESTION)
    page.click("#send")
    page.get_by_text("Training documents with the same words:").wait_for(timeout=120_000)
    turn = page.locator("article").first
    assert turn.locator(".answer").inner_text() == ANSWER
    assert server.told["release"] in turn.locator(".from").inner_text()
    assert "plant/doc-0.txt" in turn.locator(".trace").inner_text()
    assert "does not show that the model has the words from them" in turn.locator(".trace").inner_text()
    script = "<img src=x onerror=\"document.title='ran'\">"
    page.fill("#question", script)
    page.click("#send")
    page.locator("article").nth(1).locator(".rating").wait_for(timeout=120_000)
    assert page.locator("article .question").nth(1).inner_text() == script
    turn.get_by_role("button", name="Bad").click()
    assert turn.locator(".give").is_disabled(), "nothing is kept without consent"
    turn.get_by_role("textbox").fill("It is P-18.")
    turn.get_by_role("checkbox").check()
    assert page.screenshot(path=tmp_path / "page.png", full_page=True)
    turn.locator(".give").click()
    turn.get_by_text("Thank you: it is kept.").wait_for()
    (line,) = (home.root / "feedback" / "small" / "preference.jsonl").read_text().splitlines()
    assert [json.loads(line)[name] for name in ("prompt", "chosen", "rejected")] == [QUESTION, "It is P-18.", ANSWER]
    assert page.title() == "small"
    assert said == []
    assert all(url.startswith(server.url) for url in fetched)
