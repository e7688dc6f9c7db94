"""Spreadsheets: a heading a sheet, a line a row; formulas give the value they had when the file was saved."""

from typing import Any

from forge_dagster.corpus.parsers.document import Document
from forge_dagster.corpus.parsers.package import core_properties, open_package
from forge_dagster.corpus.parsers.rows import as_table
from forge_dagster.errors import DataError

EXTENSIONS = ("xlsx", "xlsm", "xlsb", "xls", "ods")
MAGIC = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
MOST_CELLS = 200_000  # of a workbook; what lies beyond is data, not a document


def parse(data: bytes) -> Document:
    """Title, text and time of a workbook. Raises DataError if it is damaged or a bomb."""
    import io

    from python_calamine import CalamineError, CalamineWorkbook

    title, time = "", None
    if data.startswith(b"PK"):
        with open_package(data, "spreadsheet") as package:
            title, time = core_properties(package)
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(data))
        sheets = [(name, _rows(workbook.get_sheet_by_name(name))) for name in workbook.sheet_names]
    except (CalamineError, ValueError, OSError) as error:
        raise DataError(f"not a readable spreadsheet: {error}", rule="an intact, unencrypted file") from error
    cells = sum(len(row) for _, rows in sheets for row in rows)
    if cells > MOST_CELLS:
        raise DataError(f"{cells:,} cells", rule=f"a spreadsheet with more than {MOST_CELLS:,} is data, not a document")
    pieces = [f"# {name}\n\n{as_table(rows)}" for name, rows in sheets if rows]
    return Document(title or (sheets[0][0] if sheets else ""), "\n\n".join(pieces), time)


def _rows(sheet: Any) -> list[list[object]]:
    """Rows with content; whole numbers without their decimal point."""
    found = []
    for row in sheet.to_python(skip_empty_area=True):
        if any(cell != "" for cell in row):
            found.append([int(cell) if isinstance(cell, float) and cell.is_integer() else cell for cell in row])
    return found
