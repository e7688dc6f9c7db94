"""Markdown from a document."""

from forge_dagster.sample.blocks import Block, Code, Document, Heading, Items, Pairs, Paragraph, Questions, Table


def render(document: Document) -> bytes:
    """Return the document as Markdown, UTF-8."""
    particulars = "\n".join(f"- {label}: {value}" for label, value in document.particulars)
    parts = [f"# {document.title}", particulars, *(_block(block) for block in document.blocks)]
    return ("\n\n".join(parts) + "\n").encode()


def _block(block: Block) -> str:
    match block:
        case Heading(text):
            return f"## {text}"
        case Paragraph(text):
            return text
        case Items(items, numbered):
            return "\n".join(f"{number}. {item}" if numbered else f"- {item}" for number, item in enumerate(items, 1))
        case Pairs(pairs):
            return "\n".join(f"- {label}: {value}" for label, value in pairs)
        case Table(header, rows):
            return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows))
        case Code(lines):
            return "\n".join(["```", *lines, "```"])
        case Questions(pairs):
            return "\n\n".join(f"Q: {question}\nA: {answer}" for question, answer in pairs)
