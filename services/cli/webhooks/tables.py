"""Webhooks and their deliveries, for people."""

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from services.api.schemas.webhooks import DeliveryEntry, WebhookEntry
from services.cli.terminal import moment, plain


def webhooks_table(webhooks: Iterable[WebhookEntry]) -> Table:
    """A row for each webhook."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("id", "address", "told of", "since", ""):
        table.add_column(heading, overflow="fold")
    for each in webhooks:
        off = "" if each.enabled else "off"
        table.add_row(str(each.id), Text(plain(each.url)), ", ".join(each.events), moment(each.created_at), off)
    return table


def deliveries_table(deliveries: Iterable[DeliveryEntry]) -> Table:
    """A row for each event, with what came of the last try."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("id", "event", "job", "when", "state", "tries", "last answer"):
        table.add_column(heading, overflow="fold")
    for each in deliveries:
        last = each.attempts[-1] if each.attempts else None
        said = "" if last is None else (last.error or str(last.status))
        table.add_row(
            str(each.id),
            each.type,
            "" if each.job is None else str(each.job),
            moment(each.created_at),
            each.state,
            str(len(each.attempts)),
            Text(plain(said)),
        )
    return table
