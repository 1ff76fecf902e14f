"""Expand, then contract: which statements of a migration break processes of the version before it.

During an upgrade they run on the new schema for a while. What they read must stay, what they insert be accepted.
"""

import io
import re
from types import ModuleType

from alembic.migration import MigrationContext
from alembic.operations import Operations

NAME = r'"?(?P<name>\w+)"?'
# What is matched breaks old processes, for the reason given.
BREAKS = {
    r"drop table": "they read the table",
    r"alter table \S+ drop column": "they read the column",
    r"alter table \S+ rename\b": "they know the old name",
    r"alter table \S+ alter (column )?\S+ type\b": "they read and write the old type",
    r"alter table \S+ alter (column )?\S+ set not null": "they may insert nothing there",
    r"alter table \S+ alter (column )?\S+ drop default": "they leave it to the default",
    r"create unique index": "they may insert the same twice",
    r"create (constraint )?trigger": "it may refuse what they write",
    r"create policy|enable row level security": "it may hide what they read",
    r"revoke\b": "they have the right no more that they use",
}
# These are fine on a table that the migration itself makes.
OF_A_TABLE = re.compile(
    r"(?:alter table (?:only )?|(?:create unique index|create (?:constraint )?trigger|create policy) .*? on |"
    r'drop table (?:if exists )?)"?(\w+)"?'
)
MADE = re.compile(r'create table (?:if not exists )?"?(\w+)"?')
NEW_COLUMN = re.compile(r"alter table \S+ add column (?!.*\bdefault\b).*\bnot null\b")
CONSTRAINT = re.compile(r'add constraint "?(\w+)"? (.*)')
CHECK = re.compile(r'constraint "?(\w+)"? check \((.*?)\)(?:,|\)|$| not valid)')


def statements(migration: ModuleType) -> list[str]:
    """The SQL of a migration's upgrade, one statement each, in lower case, each on one line."""
    written = io.StringIO()
    context = MigrationContext.configure(dialect_name="postgresql", opts={"as_sql": True, "output_buffer": written})
    with Operations.context(context):
        migration.upgrade()
    # A body between $$ may hold semicolons of its own.
    found = re.split(r";\s*(?:\n|$)", re.sub(r"\$\$.*?\$\$", "$$", written.getvalue(), flags=re.DOTALL))
    return [" ".join(each.lower().split()) for each in found if each.strip()]


def breaking(some: list[str], before: list[str] = []) -> list[str]:  # noqa: B006 - it is only read
    """The statements that break old processes, each with why. `before`: those of all earlier migrations."""
    made = {name for each in some for name in MADE.findall(each)}
    wrong = []
    for each in some:
        table = OF_A_TABLE.search(each)
        if table is not None and table[1] in made:
            continue
        wrong += [f"{each}: {why}" for pattern, why in BREAKS.items() if re.match(pattern, each)]
        if NEW_COLUMN.match(each):
            wrong.append(f"{each}: they insert rows without it")
        if (added := CONSTRAINT.search(each)) and not _wider(added[1], added[2], before):
            wrong.append(f"{each}: it may refuse what they write")
    return wrong


def _wider(name: str, rule: str, before: list[str]) -> bool:
    """Whether a constraint lists all the values that it has listed so far, and perhaps more."""
    earlier = [found[1] for each in before for found in CHECK.findall(each) if found[0] == name]
    old = set(re.findall(r"'([^']*)'", earlier[-1])) if earlier else set()
    return bool(old) and rule.startswith("check") and old <= set(re.findall(r"'([^']*)'", rule))
