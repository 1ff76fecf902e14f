"""What was done, in words, for the command line and for containers."""

from services.backup.create import Backup
from services.backup.restore import Restored

MEGABYTE = 1_000_000


def kept(made: Backup) -> list[str]:
    """What a backup holds, and what one should know of it."""
    lines = [
        f"{made.rows:,} rows and {made.objects:,} objects ({made.bytes / MEGABYTE:,.1f} MB), as of {made.at:%F %T} UTC."
    ]
    if made.gone:
        lines.append(
            f"{made.gone:,} objects were deleted with their jobs or images while it was made; they are not in it."
        )
    if made.lost:
        lines.append(f"{made.lost:,} objects that the database names are not in the storage, and so not in the backup.")
    lines.append("It holds photographs and secrets: keep it where nobody else can read it.")
    return lines


def brought_back(restored: Restored, deletions: bool) -> list[str]:
    """What there is again, and what one has to think of now."""
    lines = [f"{restored.rows:,} rows and {restored.objects:,} objects are back, as of {restored.at:%F %T} UTC."]
    if restored.resumed:
        lines.append(f"{restored.resumed:,} images were on their way; they go on when the system is started.")
    if restored.left:
        lines.append(
            f"{restored.left:,} files of bundles have no place here: name one with FACEMEM_BUNDLES_FOLDER, or "
            "take them out of the backup with tar."
        )
    if deletions:
        lines.append(f"{restored.deleted:,} of what was deleted since is deleted again.")
    else:
        lines.append(
            f"Jobs and images that were deleted after {restored.at:%F %T} UTC are back, too. Delete them again before "
            "the system is used: docs/upgrades.md says how."
        )
    lines.append(
        f"Keys that were revoked after {restored.at:%F %T} UTC are valid again, and webhooks are as they were then. "
        "Revoke and delete again before the system is used."
    )
    return lines
