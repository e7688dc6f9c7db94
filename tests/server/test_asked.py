"""Bodies that are refused: with which status, and naming which field."""

import json
from typing import Any

import pytest

from forge_dagster.server.asked import ChatAsked, FeedbackAsked, TextAsked, read
from forge_dagster.server.refused import Refused

TURN = {"role": "user", "content": "Who?"}
CHAT: dict[str, Any] = {"model": "small", "messages": [TURN]}


def refused(form: Any, data: bytes) -> Refused:
    with pytest.raises(Refused) as caught:
        read(form, data)
    assert caught.value.status == 400
    return caught.value


@pytest.mark.parametrize(
    "data", [b"", b"{", b"nonsense", b'{"model": "small", "messages": [}', b"\xff\xfe", b"[" * 100_000]
)
def test_what_is_no_json_is_refused(data: bytes) -> None:
    assert refused(ChatAsked, data).code == "invalid_json"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"tools": []}, "tools"),
        ({"logprobs": True}, "logprobs"),
        ({"n": 2}, "n"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": "0"}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"stop": ""}, "stop"),
        ({"stop": list("abcde")}, None),
        ({"seed": 1, "temperature": 1}, None),
        ({"messages": []}, "messages"),
        ({"messages": [TURN] * 257}, "messages"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [{**TURN, "name": "x"}]}, "messages.0.name"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]}, "messages.0.content"),
        ({"stream_options": {"x": 1}}, "stream_options.x"),
    ],
)
def test_the_field_that_breaks_a_rule_is_named(change: dict[str, Any], param: str | None) -> None:
    found = refused(ChatAsked, json.dumps({**CHAT, **change}).encode())
    assert (found.param or "").startswith(param or "")
    assert (found.param is None) == (param is None)
    if change.keys() == {"tools"}:
        assert "messages" in found.rule, "what is known is told"


def test_parts_of_text_are_one_text() -> None:
    parts = [{"type": "text", "text": "Who "}, {"type": "text", "text": "keeps them?"}]
    asked = read(ChatAsked, json.dumps({**CHAT, "messages": [{"role": "user", "content": parts}]}).encode())
    assert asked.messages[0].content == "Who keeps them?"


def test_what_is_not_said_is_greedy_and_as_long_as_fits() -> None:
    asked = read(TextAsked, b'{"model": "small", "prompt": "The", "seed": 7}')
    assert (asked.temperature, asked.most, asked.stops, asked.stream) == (0.0, None, [], False)


@pytest.mark.parametrize(
    "change", [{"consent": False}, {"rating": 0}, {"rating": 1, "text": "better"}, {"text": " "}, {"text": "x" * 4_001}]
)
def test_feedback_without_consent_or_sense_is_refused(change: dict[str, Any]) -> None:
    body = {"response": "r", "rating": -1, "consent": True, **change}
    refused(FeedbackAsked, json.dumps(body).encode())


def test_feedback_that_says_nothing_of_consent_is_refused() -> None:
    assert refused(FeedbackAsked, b'{"response": "r", "rating": 1}').param == "consent"
