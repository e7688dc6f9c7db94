"""E-mail messages: the headers a reader sees, the body as text, attachments by name alone."""

from collections.abc import Iterator
from contextlib import suppress
from email import message_from_bytes, policy
from email.errors import MessageError
from email.message import EmailMessage, Message
from email.utils import parsedate_to_datetime

from forge_dagster.corpus.parsers import html
from forge_dagster.corpus.parsers.document import Document
from forge_dagster.corpus.text import decode
from forge_dagster.errors import DataError

EXTENSIONS = ("eml",)
SHOWN = ("Subject", "From", "To", "Cc", "Date")
DEEPEST = 3  # messages forwarded within messages


def parse(data: bytes) -> Document:
    """Subject, text and date of a message. Raises DataError if it is none."""
    message = message_from_bytes(data, policy=policy.default)
    if not isinstance(message, EmailMessage) or not message.keys():
        raise DataError("no header", rule="a message has headers")
    time = None
    with suppress(ValueError, TypeError, IndexError, AttributeError):
        time = parsedate_to_datetime(_header(message, "Date")).isoformat()
    return Document(_header(message, "Subject"), "\n\n".join(_parts(message, 0)), time)


def _header(message: EmailMessage, name: str) -> str:
    """A header's value; one that breaks the rules of mail is shown as it stands."""
    try:
        value = message.get(name, "")
    except (MessageError, ValueError, TypeError, IndexError, AttributeError):
        value = next((raw for key, raw in message.raw_items() if key.lower() == name.lower()), "")
    return " ".join(str(value).split())


def _parts(message: EmailMessage, depth: int) -> Iterator[str]:
    headers = [f"{name}: {value}" for name in SHOWN if (value := _header(message, name))]
    yield "\n".join(headers)
    body = None
    with suppress(MessageError, ValueError, TypeError, KeyError, AttributeError, IndexError):
        body = message.get_body(("plain", "html"))
    if body is not None:
        yield _text(body)
    for part in _attachments(message):
        if part.get_content_type() == "message/rfc822" and depth < DEEPEST:
            for inner in part.walk():
                if isinstance(inner, EmailMessage) and inner is not part:
                    yield from _parts(inner, depth + 1)
                    break
        else:
            yield f"Attachment: {_filename(part)} ({part.get_content_type()})"


def _attachments(message: EmailMessage) -> list[EmailMessage]:
    with suppress(MessageError, ValueError, TypeError, KeyError, AttributeError, IndexError):
        return [part for part in message.iter_attachments() if isinstance(part, EmailMessage)]
    return []


def _filename(part: EmailMessage) -> str:
    with suppress(MessageError, ValueError, TypeError, AttributeError, IndexError):
        return part.get_filename() or "unnamed"
    return "unnamed"


def _text(part: Message) -> str:
    """The body's text by its charset, or as the bytes tell where the charset is wrong."""
    raw = part.get_payload(decode=True)
    data = raw if isinstance(raw, bytes) else str(part.get_payload()).encode("utf-8", "surrogateescape")
    if part.get_content_type() == "text/html":
        return html.parse(data).text
    return decode(data, part.get_content_charset())
