"""The schema. Each column says who writes it and, where it matters, what a crash leaves behind.

Postgres is the truth: no state lives in a message, in Redis or in a result backend. All times are the database's.
"""

from shared.database.tables.access import ApiKey, Audit, Tenant
from shared.database.tables.base import Table
from shared.database.tables.deletions import Deletion
from shared.database.tables.faces import Explanation, Face
from shared.database.tables.images import Attempt, Image
from shared.database.tables.jobs import Job, JobCount, Pace
from shared.database.tables.submissions import Arrival, Idempotency, Upload
from shared.database.tables.webhooks import Delivery, DeliveryAttempt, Webhook

__all__ = [
    "ApiKey",
    "Arrival",
    "Attempt",
    "Audit",
    "Deletion",
    "Delivery",
    "DeliveryAttempt",
    "Explanation",
    "Face",
    "Idempotency",
    "Image",
    "Job",
    "JobCount",
    "Pace",
    "Table",
    "Tenant",
    "Upload",
    "Webhook",
]
