"""What may be asked of a server, as OpenAI's clients say it; a field that is not known is refused, never ignored."""

from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from forge_dagster.server.refused import Refused

MOST_TURNS, MOST_STOPS, LONGEST_STOP = 256, 4, 64  # messages, sequences, characters
LONGEST_WORD = 4_000  # characters of a better answer
Body = TypeVar("Body", bound="Strict")


class Strict(BaseModel):
    """A body of JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Turn(Strict):
    """One message of a conversation."""

    role: str
    content: str

    @field_validator("content", mode="before")
    @classmethod
    def parts_become_text(cls, value: Any) -> Any:
        """OpenAI's list of parts, if all are of text."""
        if not isinstance(value, list):
            return value
        if not all(isinstance(part, dict) and part.get("type") == "text" for part in value):
            raise ValueError("a message is text; a part of another type cannot be read")
        return "".join(str(part.get("text", "")) for part in value)


class StreamOptions(Strict):
    """Whether a stream ends with the count of tokens."""

    include_usage: bool = False


Stop = Annotated[str, Field(min_length=1, max_length=LONGEST_STOP)]


class Asked(Strict):
    """What questions and texts to be continued have in common."""

    model: str
    max_tokens: int | None = Field(default=None, ge=1, description="most tokens of the answer; all that fit if null")
    temperature: float = Field(default=0.0, ge=0, le=2, description="0 takes the likeliest token each time")
    top_p: float = Field(default=1.0, gt=0, le=1)
    stop: Stop | list[Stop] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: Literal[1] = 1
    seed: int | None = Field(default=None, description="accepted at temperature 0, where nothing is drawn")

    @model_validator(mode="after")
    def is_repeatable(self) -> Self:
        if self.seed is not None and self.temperature > 0:
            raise ValueError("seed with a temperature above 0: what is drawn for many at once is not repeated")
        if len(self.stops) > MOST_STOPS:
            raise ValueError(f"{len(self.stops)} stop sequences, at most {MOST_STOPS}")
        return self

    @property
    def stops(self) -> list[str]:
        return [self.stop] if isinstance(self.stop, str) else list(self.stop or ())

    @property
    def most(self) -> int | None:
        return self.max_tokens


class ChatAsked(Asked):
    """Body of /v1/chat/completions."""

    messages: Annotated[list[Turn], Field(min_length=1, max_length=MOST_TURNS)]
    max_completion_tokens: int | None = Field(default=None, ge=1, description="the newer name of max_tokens")

    @property
    def most(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens


class TextAsked(Asked):
    """Body of /v1/completions: a text that goes on."""

    prompt: str


class TraceAsked(Strict):
    """Body of /trace: which answer."""

    response: str


class FeedbackAsked(Strict):
    """Body of /feedback: what a person thinks of an answer, and that it may be kept."""

    response: str
    rating: Literal[-1, 1]
    text: Annotated[str, Field(pattern=r"\S", max_length=LONGEST_WORD)] | None = Field(
        default=None, description="the answer that should have been given, with rating -1"
    )
    consent: Literal[True]

    @model_validator(mode="after")
    def betters_what_is_bad(self) -> Self:
        if self.text is not None and self.rating > 0:
            raise ValueError("text is the answer that should have been given: it comes with rating -1")
        return self


def read(form: type[Body], data: bytes) -> Body:
    """Read a body. Raises Refused (400) naming the first field that breaks a rule."""
    try:
        return form.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            raise Refused(400, "invalid_json", first["msg"], rule="a body is one JSON object") from error
        where = ".".join(str(part) for part in first["loc"]) or None
        if first["type"] == "extra_forbidden":
            rule = f"fields: {', '.join(sorted(form.model_fields))}" if len(first["loc"]) == 1 else ""
            raise Refused(
                400, "unknown_field", f"{where} is not known", rule=rule, mend="leave it out", param=where
            ) from error
        said = first["msg"].removeprefix("Value error, ")
        problem = f"{where}: {said}" if where else said
        raise Refused(400, "invalid_value", problem, param=where) from error
