"""The second lock between tenants: row-level security, for the role that the API reads and writes as.

The owner of the tables (workers, dispatcher, and what takes a submission in through COPY, which row-level security does
not allow) is not subject to it.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TENANT = "current_setting('facemem.tenant', true)"
JOB = f"exists (select from jobs where jobs.id = job_id and jobs.tenant = {TENANT})"
# What a row must fulfil to be seen or written, by table.
POLICIES = {
    "jobs": f"tenant = {TENANT}",
    "job_counts": JOB,
    "paces": JOB,
    "images": JOB,
    "attempts": "exists (select from images where images.id = image_id)",
    "faces": JOB,
    "explanations": "exists (select from faces where faces.id = face_id)",
    "uploads": f"tenant = {TENANT}",
    "idempotency": f"tenant = {TENANT}",
    "webhooks": f"tenant = {TENANT}",
    "deliveries": "exists (select from webhooks where webhooks.id = webhook_id)",
    "delivery_attempts": "exists (select from deliveries where deliveries.id = delivery_id)",
    "deletions": f"tenant = {TENANT}",
    "api_keys": f"tenant = {TENANT}",
    "tenants": f"name = {TENANT}",
    "audit": f"tenant = {TENANT}",
}
READ_ONLY = {"tenants": "select", "audit": "select, insert"}


def upgrade() -> None:
    # Roles belong to the whole server, where another database may have made it already, or be about to.
    op.execute("""
        do $$ begin
            create role facemem_tenant nologin;
        exception when duplicate_object or unique_violation then null;
        end $$
    """)
    op.execute("""
        do $$ begin
            if not pg_has_role(current_user, 'facemem_tenant', 'set') then
                execute format('grant facemem_tenant to %I', current_user);
            end if;
        end $$
    """)
    op.execute("grant usage on schema public to facemem_tenant")
    for table, rule in POLICIES.items():
        op.execute(f"alter table {table} enable row level security")
        op.execute(f"create policy of_tenant on {table} to facemem_tenant using ({rule}) with check ({rule})")
        op.execute(f"grant {READ_ONLY.get(table, 'select, insert, update, delete')} on {table} to facemem_tenant")
    op.execute("""
        create function refuse_change() returns trigger language plpgsql as $$
        begin raise exception 'rows of % are never changed or removed', tg_table_name; end $$
    """)
    op.execute("""
        create trigger append_only before update or delete or truncate on audit
        for each statement execute function refuse_change()
    """)


def downgrade() -> None:
    op.execute("drop trigger append_only on audit")
    op.execute("drop function refuse_change")
    for table in POLICIES:
        op.execute(f"revoke all on {table} from facemem_tenant")
        op.execute(f"drop policy of_tenant on {table}")
        op.execute(f"alter table {table} disable row level security")
    op.execute("revoke usage on schema public from facemem_tenant")
