"""Rows of cells as lines that a reader and a model can follow."""

from collections.abc import Iterable, Sequence


def as_line(cells: Iterable[object]) -> str:
    """Cells of a row, white space within a cell made one space."""
    return " | ".join(" ".join(str("" if cell is None else cell).split()) for cell in cells)


def as_table(rows: Sequence[Sequence[object]]) -> str:
    """Rows, the first of them as the head if there are more; rows without content left out."""
    lines = [as_line(row) for row in rows if any(str(cell or "").strip() for cell in row)]
    if len(lines) > 1 and " | " in lines[0]:
        lines.insert(1, " | ".join(["---"] * (lines[0].count(" | ") + 1)))
    return "\n".join(lines)
