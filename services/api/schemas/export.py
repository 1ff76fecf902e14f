"""Results as a file."""

from enum import StrEnum

from pydantic import Field

from services.api.schemas.parameters import Parameters


class Form(StrEnum):
    """As what results are exported."""

    JSONL = "jsonl"
    """A JSON object on each line."""

    CSV = "csv"
    """A table with headings, safe to open in a spreadsheet."""

    XLSX = "xlsx"
    """The same as a workbook."""


class ExportQuery(Parameters):
    """As what the results are wanted."""

    format: Form = Field(Form.JSONL, description="JSON lines and CSV begin at once; XLSX when all of it is written")
