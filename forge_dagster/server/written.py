"""Token ids become text that may be sent: whole characters, nothing of a stop sequence, no control token."""

from collections.abc import Sequence

from tokenizers import Tokenizer

BROKEN = "\ufffd"
"""What stands for bytes that are no character, or not yet: the next token may hold the rest."""
MOST_HELD = 16  # tokens that wait for the rest of a character; none has so many


class Written:
    """The text of one answer as it grows; `text` is what may be sent of it."""

    def __init__(self, encoder: Tokenizer, stops: Sequence[str] = ()) -> None:
        self.encoder, self.stops = encoder, stops
        self.text = ""
        self.has_stopped = False
        self._ids: list[int] = []
        """Those that end within a character."""
        self._held = ""
        """Text that a stop sequence may begin with."""

    def add(self, ids: Sequence[int], *, is_last: bool) -> str:
        """Take further ids; return the text that may be sent now and was not before."""
        self._ids += ids
        text = self.encoder.decode(self._ids, skip_special_tokens=True)
        if text.endswith(BROKEN) and not is_last and len(self._ids) < MOST_HELD:
            return ""
        self._ids, text = [], self._held + text
        places = [at for stop in self.stops if (at := text.find(stop)) >= 0]
        if places:
            self.has_stopped, end = True, min(places)
        else:
            end = len(text) if is_last else len(text) - self._begun(text)
        self.text += text[:end]
        self._held = text[end:]
        return text[:end]

    def _begun(self, text: str) -> int:
        """Characters at the end that a stop sequence may begin with."""
        sizes = (size for stop in self.stops for size in range(len(stop) - 1, 0, -1) if text.endswith(stop[:size]))
        return max(sizes, default=0)
