"""What a parser gives of one document."""

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Document:
    """Title and text as found; `time` is what the document itself says of its last change, ISO 8601, or nothing."""

    title: str
    text: str
    time: str | None = None
