"""Plain text from a document: as a memo, a log or a mail is kept."""

from forge_dagster.sample.blocks import Block, Code, Document, Heading, Items, Pairs, Paragraph, Questions, Table


def render(document: Document) -> bytes:
    """Return the document as plain text, UTF-8."""
    particulars = "\n".join(f"{label}: {value}" for label, value in document.particulars)
    parts = [f"{document.title}\n{'=' * len(document.title)}", particulars, *(block_text(b) for b in document.blocks)]
    return ("\n\n".join(parts) + "\n").encode()


def block_text(block: Block) -> str:
    """Return one block as lines of plain text."""
    match block:
        case Heading(text):
            return f"{text}\n{'-' * len(text)}"
        case Paragraph(text):
            return text
        case Items(items, numbered):
            return "\n".join(f"{number}) {item}" if numbered else f"* {item}" for number, item in enumerate(items, 1))
        case Pairs(pairs):
            return "\n".join(f"{label}: {value}" for label, value in pairs)
        case Table(header, rows):
            return "\n".join("; ".join(cells) for cells in (header, *rows))
        case Code(lines):
            return "\n".join(f"    {line}" for line in lines)
        case Questions(pairs):
            return "\n\n".join(f"Q: {question}\nA: {answer}" for question, answer in pairs)
