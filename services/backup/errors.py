"""What can be wrong with a backup, or with the place that it is to be restored to."""

from shared.errors import PermanentError


class BackupDamaged(PermanentError):
    """The backup is damaged, cut off, or no backup of facemem at all.

    Nothing was changed. Take another copy of it, or an older backup.
    """

    code = "backup_damaged"


class BackupTooNew(PermanentError):
    """The backup was made by a newer facemem than this one.

    Nothing was changed. Install that version, or a newer one, and restore it with that.
    """

    code = "backup_too_new"


class NotEmpty(PermanentError):
    """There is something already where the backup is to be restored.

    Nothing was changed. A backup is restored into an empty system only: name another data folder with --home, or
    another database and another bucket.
    """

    code = "restore_not_empty"


class DeletionsInvalid(PermanentError):
    """The file of deletions is not one.

    Nothing was changed. `facemem backup --only-deletions` writes such files.
    """

    code = "deletions_invalid"
