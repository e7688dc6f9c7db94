"""What a model that writes pairs must be able to do, and that it may fail to."""

from typing import Any, Protocol


class Unanswered(Exception):
    """No reply came to one prompt; `reason` is counted. `again`: whether another try may help."""

    def __init__(self, reason: str, *, again: bool) -> None:
        super().__init__(reason)
        self.reason, self.again = reason, again


class Writer(Protocol):
    """A model behind an endpoint or in a folder."""

    def identity(self) -> str:
        """Digest of the model: of its bytes, or of what its server says about it."""

    def ask(self, messages: list[dict[str, str]], schema: dict[str, Any]) -> str:
        """The reply to a conversation, in the schema where the model can be held to one. Raises Unanswered."""
