"""Pairs that people bring as JSONL, in the common chat and preference formats; a line that is neither is named."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from forge_dagster.errors import DataError

Said = Annotated[str, Field(pattern=r"\S")]
Line = TypeVar("Line", bound="Lenient")


class Lenient(BaseModel):
    """A line of others: what it holds beside the format, such as ids and notes, is left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class Message(Lenient):
    """One turn."""

    role: Literal["user", "assistant"]
    content: Said


def _in_turn(messages: Sequence[Message]) -> None:
    for number, message in enumerate(messages):
        due = ("user", "assistant")[number % 2]
        if message.role != due:
            raise ValueError(f"message {number + 1} is the {message.role}'s, the {due}'s is due: they take turns")


class Conversation(Lenient):
    """`messages`: user and assistant in turn, the assistant last."""

    messages: Annotated[tuple[Message, ...], Field(min_length=2, strict=False)]

    @model_validator(mode="after")
    def takes_turns(self) -> Self:
        _in_turn(self.messages)
        if self.messages[-1].role != "assistant":
            raise ValueError("the last message is the user's; the model learns from answers")
        return self


class Preference(Lenient):
    """`prompt`, `chosen` and `rejected`: texts, or messages of which the prompt is the user's one."""

    prompt: Said
    chosen: Said
    rejected: Said

    @model_validator(mode="before")
    @classmethod
    def prompt_may_be_in_the_answers(cls, line: Any) -> Any:
        """Without `prompt`, both conversations begin with it."""
        if isinstance(line, Mapping) and "prompt" not in line and isinstance(line.get("chosen"), list):
            return {**line, "prompt": line["chosen"][:-1]}
        return line

    @field_validator("prompt", "chosen", "rejected", mode="before")
    @classmethod
    def messages_become_text(cls, value: Any, info: Any) -> Any:
        if not isinstance(value, list):
            return value
        messages = [Message.model_validate(message) for message in value]
        role = "user" if info.field_name == "prompt" else "assistant"
        if role == "assistant" and len(messages) == 2:  # the prompt is repeated before the answer
            _in_turn(messages)
            if messages[0].content != info.data.get("prompt"):
                raise ValueError("the conversation begins with another prompt")
            messages = messages[1:]
        if [message.role for message in messages] != [role]:
            raise ValueError(f"{[message.role for message in messages]}: one message of the {role} is due")
        return messages[0].content

    @model_validator(mode="after")
    def answers_differ(self) -> Self:
        if self.chosen == self.rejected:
            raise ValueError("chosen and rejected are the same")
        return self


def read_lines(path: Path, form: type[Line]) -> Iterator[tuple[int, Line]]:
    """Number and content of every line that is not blank. Raises DataError naming file and line, or an empty file."""
    count = 0
    with path.open("rb") as stream:  # bytes: pydantic names a line that is not UTF-8 like any other broken one
        for number, line in enumerate(stream, start=1):
            line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if not line.strip():
                continue
            try:
                yield number, form.model_validate_json(line)
            except ValidationError as error:
                first = error.errors(include_url=False)[0]
                where = "".join(f"{part}: " for part in first["loc"])
                raise DataError(
                    f"{path}:{number}: {where}{first['msg'].removeprefix('Value error, ')}",
                    rule=f"one JSON object a line. {' '.join((form.__doc__ or '').split())}",
                    mend="correct the line",
                ) from error
            count += 1
    if not count:
        raise DataError(f"{path} is empty", rule="one JSON object a line", mend="add lines, or take its yaml away")
