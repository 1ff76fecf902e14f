"""Receipts of deletions, and the audit log, for people."""

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from services.api.schemas.audit import AuditEntry
from services.api.schemas.deletions import Deletion
from services.cli.terminal import moment, plain
from shared.wording import counted


def receipt(found: Deletion) -> str:
    """What was deleted, and whether storage is clear of it."""
    gone = f"Deleted: {counted(found.jobs, 'job')}, {counted(found.images, 'image')}, {counted(found.faces, 'face')}"
    storage = f"removed from storage at {moment(found.removed_at)}" if found.removed_at else "storage is being cleared"
    return f"{gone}; {counted(found.objects, 'object')}, {storage}. Receipt {found.id}"


def audit_table(entries: Iterable[AuditEntry]) -> Table:
    """A row for each entry."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("when", "who", "what", "to what", "detail"):
        table.add_column(heading, overflow="fold")
    for each in entries:
        detail = ", ".join(f"{name} {value}" for name, value in each.detail.items())
        table.add_row(moment(each.at), Text(plain(each.actor)), each.action, each.subject or "", Text(plain(detail)))
    return table
