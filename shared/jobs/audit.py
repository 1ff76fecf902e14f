"""Who did what, when: written in the transaction that does it, so that neither is there without the other."""

import json
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session


def record(
    connection: Connection | Session,
    tenant: str,
    actor: str,
    action: str,
    subject: UUID | int | str | None = None,
    **detail: int | str | UUID | list[str] | None,
) -> None:
    """Note one action in the audit log. The caller commits.

    `subject` is the id of what it was done to. `detail` holds counts and ids only: never names, captions or links,
    because rows of this log cannot be removed again.
    """
    connection.execute(
        text("""
            insert into audit (tenant, actor, action, subject, detail)
            values (:tenant, :actor, :action, :subject, cast(:detail as jsonb))
        """),
        {
            "tenant": tenant,
            "actor": actor,
            "action": action,
            "subject": None if subject is None else str(subject),
            "detail": json.dumps(detail, default=str),
        },
    )
