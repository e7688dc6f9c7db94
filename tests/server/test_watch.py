"""Refusals and the surprise at prompts, as sums in the home: enough to see drift by, and no word of anybody."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta

import httpx
import pytest
from scripted import Scripted

from forge_dagster.home import Home
from forge_dagster.retraining import Use
from forge_dagster.server.opened import Served
from forge_dagster.server.use import use_since

TODAY = datetime.now(UTC).date()


def ask(client: httpx.Client, text: str) -> None:
    body = {"model": "small", "messages": [{"role": "user", "content": text}]}
    assert client.post("/v1/chat/completions", json=body).status_code == 200


def used(place: tuple[Home, Served], since: date = TODAY - timedelta(days=1)) -> Use:
    return use_since(place[0], place[1].recipe, str(place[1]), since)


def waited_for(place: tuple[Home, Served], before: Use, prompts: int) -> Use:
    """The sums once so many more prompts were measured."""
    ends = time.monotonic() + 60
    while (found := used(place)).prompts < before.prompts + prompts:
        assert time.monotonic() < ends
        time.sleep(0.05)
    return found


def test_every_second_prompt_is_measured_and_each_refusal_counted(
    place: tuple[Home, Served], serve: Callable[..., httpx.Client]
) -> None:
    before = used(place)
    answering = serve(Scripted())
    for number in range(4):
        ask(answering, f"secret {number}")
    told = answering.get("/metrics").text
    assert "forge_refusals_total 0.0" in told
    refusing = serve(Scripted("I may not tell."))
    for _ in range(3):
        ask(refusing, "secret 9")
    assert "forge_refusals_total 3.0" in refusing.get("/metrics").text
    found = waited_for(place, before, prompts=4)
    assert found.bytes - before.bytes == 4 * len("secret 0")
    assert found.bits - before.bits == pytest.approx(3.0 * 4 * len("secret 0"))
    assert not any(b"secret" in path.read_bytes() for path in (place[0].root / "use").rglob("*.json"))
    assert used(place, TODAY + timedelta(days=2)) == Use()
    assert use_since(place[0], "small", "small/release@" + "0" * 64, TODAY - timedelta(days=1)) == Use()


def test_what_a_server_counted_stands_when_it_ends(
    place: tuple[Home, Served], serve: Callable[..., httpx.Client], request: pytest.FixtureRequest
) -> None:
    before = used(place)
    client = serve(Scripted("I may not tell."), measure_every=0)
    ask(client, "secret")
    ask(client, "secret")
    assert used(place) == before, "it is written once a minute"
    request.getfixturevalue("stack").close()
    found = used(place)
    assert (found.answers - before.answers, found.refusals - before.refusals) == (2, 2)
    assert found.prompts == before.prompts


def test_a_measure_that_fails_is_seen_in_health_and_the_engine_still_stops(
    serve: Callable[..., httpx.Client], stack: ExitStack
) -> None:
    class Broken(Scripted):
        async def surprise(self, text: str) -> tuple[float, int]:
            raise ArithmeticError("a logit is NaN")

    engine = Broken()
    client = serve(engine)
    ask(client, "secret")
    ends = time.monotonic() + 60
    while client.get("/health").status_code == 200:
        assert time.monotonic() < ends
        time.sleep(0.05)
    assert "stopped" in client.get("/health").json()["status"]
    stack.close()
    assert not engine.is_alive
