"""Files of people: good lines are taken, and the first bad one is named with its number."""

import json
from pathlib import Path
from typing import Any

import pytest

from forge_dagster.errors import DataError
from forge_dagster.pairs.given import Conversation, Preference, read_lines

USER, ASSISTANT = {"role": "user", "content": "Who?"}, {"role": "assistant", "content": "We."}
GOOD_CHAT = json.dumps({"messages": [USER, ASSISTANT]})
GOOD_PREFERENCE = json.dumps({"prompt": "Who?", "chosen": "We.", "rejected": "They."})


def file_of(folder: Path, *lines: str | bytes) -> Path:
    path = folder / "pairs.jsonl"
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines))
    return path


@pytest.mark.parametrize(
    "line",
    [
        GOOD_CHAT,
        json.dumps({"id": 7, "messages": [USER, {**ASSISTANT, "name": "x", "tool_calls": None}], "source": {"a": []}}),
        json.dumps({"messages": [USER, ASSISTANT] * 3}),
        GOOD_CHAT + "\r",
        "\ufeff" + GOOD_CHAT,
        GOOD_CHAT + "\n\n  \n" + GOOD_CHAT,
    ],
)
def test_conversations(tmp_path: Path, line: str):
    found = [each for _, each in read_lines(file_of(tmp_path, line), Conversation)]
    assert found[0].messages[0].content == "Who?"


@pytest.mark.parametrize(
    "line",
    [
        json.loads(GOOD_PREFERENCE),
        {"prompt": [USER], "chosen": [ASSISTANT], "rejected": [{**ASSISTANT, "content": "They."}]},
        {"prompt": [USER], "chosen": [USER, ASSISTANT], "rejected": [USER, {**ASSISTANT, "content": "They."}]},
        {"chosen": [USER, ASSISTANT], "rejected": [USER, {**ASSISTANT, "content": "They."}], "score": 3},
    ],
)
def test_preferences(tmp_path: Path, line: dict[str, Any]):
    ((number, found),) = read_lines(file_of(tmp_path, "", json.dumps(line)), Preference)
    assert (number, found.prompt, found.chosen, found.rejected) == (2, "Who?", "We.", "They.")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r":2: Invalid JSON"),
        ("[]", r":2: Input should be an object"),
        ("null", r":2: "),
        (b'{"messages": "\xff\xfe"}', r":2: Invalid JSON"),
        ("{}", r":2: messages: Field required"),
        (json.dumps({"messages": []}), r":2: messages: Tuple should have at least 2 items"),
        (json.dumps({"messages": [USER]}), r":2: messages: Tuple should have at least 2 items"),
        (json.dumps({"messages": [ASSISTANT, USER]}), r":2: message 1 is the assistant's, the user's is due"),
        (json.dumps({"messages": [USER, USER]}), r":2: message 2 is the user's, the assistant's is due"),
        (json.dumps({"messages": [USER, ASSISTANT, USER]}), r":2: the last message is the user's"),
        (json.dumps({"messages": [{**USER, "role": "system"}, ASSISTANT]}), r":2: messages: 0: role: Input should be"),
        (json.dumps({"messages": [USER, {**ASSISTANT, "content": " \n"}]}), r":2: messages: 1: content: String should"),
        (
            json.dumps({"messages": [USER, {**ASSISTANT, "content": None}]}),
            r":2: messages: 1: content: Input should be",
        ),
        (json.dumps({"messages": [USER, {**ASSISTANT, "content": 3}]}), r":2: messages: 1: content: Input should be"),
        (GOOD_CHAT + GOOD_CHAT, r":2: Invalid JSON: trailing"),
        ('{"messages": ' + "[" * 10_000, r":2: Invalid JSON: recursion"),
    ],
)
def test_a_bad_conversation_is_named(tmp_path: Path, line: str | bytes, message: str):
    with pytest.raises(DataError, match=r"pairs\.jsonl" + message) as raised:
        list(read_lines(file_of(tmp_path, GOOD_CHAT, line, GOOD_CHAT), Conversation))
    assert "user and assistant in turn" in raised.value.rule


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rejected": "We."}, r":2: chosen and rejected are the same"),
        ({"rejected": ""}, r":2: rejected: String should match"),
        ({"prompt": [USER, ASSISTANT]}, r":2: prompt: \['user', 'assistant'\]: one message of the user is due"),
        ({"prompt": []}, r":2: prompt: \[\]: one message of the user is due"),
        ({"chosen": [USER]}, r":2: chosen: \['user'\]: one message of the assistant is due"),
        (
            {"chosen": [{**USER, "content": "Why?"}, ASSISTANT]},
            r":2: chosen: the conversation begins with another prompt",
        ),
        ({"chosen": [ASSISTANT, USER]}, r":2: chosen: message 1 is the assistant's"),
        ({"chosen": [3]}, r":2: chosen: "),
        ({"prompt": 3}, r":2: prompt: Input should be a valid string"),
    ],
)
def test_a_bad_preference_is_named(tmp_path: Path, change: dict[str, Any], message: str):
    line = json.dumps({**json.loads(GOOD_PREFERENCE), **change})
    with pytest.raises(DataError, match=r"pairs\.jsonl" + message):
        list(read_lines(file_of(tmp_path, GOOD_PREFERENCE, line), Preference))


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff"])
def test_an_empty_file_is_refused(tmp_path: Path, content: str):
    with pytest.raises(DataError, match=r"pairs\.jsonl is empty\nRule: one JSON object a line\nMend: add lines"):
        list(read_lines(file_of(tmp_path, content), Preference))
