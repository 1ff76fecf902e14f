"""`facemem rescore`: the faces of a job, scored again with another bundle."""

import sys
from uuid import UUID

import rich_click as click

from services.cli import options


@click.command()
@options.job
@click.option("--bundle", required=True, metavar="NAME", help="Score with this bundle; name or digest.")
@click.option("--json", "form", flag_value="jsonl", help="One JSON object on each line, as `facemem score --json`.")
@click.option("--csv", "form", flag_value="csv", help="A table for spreadsheets.")
@options.service
def rescore(job: UUID, bundle: str, form: str | None, service: options.Service) -> None:
    """Score the faces of a job again with another bundle, without finding or describing them again.

    That makes a new job on the same photographs; the first one keeps its results. Scores of different bundles cannot be
    compared. The facemem that runs does the work; if none does, one is started for the occasion and stopped again.

    Ctrl-C cancels the new job. Exit status: 0 when every image reached its end, 130 after Ctrl-C, 1 otherwise.

    \b
    facemem rescore 8f14e45f-ceea-467f-a9f3-2c1d0f1c9a57 --bundle mine
    facemem rescore 8f14e45f-ceea-467f-a9f3-2c1d0f1c9a57 --bundle 3b1f9a62c0de --csv > scores.csv
    """
    from services.cli.connection import started_if_needed
    from services.cli.journey import all_final, watched
    from services.cli.progress import Display
    from services.cli.tables import results_table
    from services.cli.terminal import notes, plain, results
    from services.client.wording import about

    console = notes()
    with started_if_needed(service, console) as facemem:
        with Display(console) as display:
            again = facemem.rescore(job, bundle)
            name = f"{plain(again.bundle.name or 'unknown')} {again.bundle.digest[:12]}"
            display.note(f"Scoring {again.images:,} images again with bundle {name}, as job {again.id}.")
            try:
                again = watched(facemem, again, display)
            except KeyboardInterrupt:
                facemem.cancel(again.id)
                display.note(f"Cancelled job {again.id}; images that were finished keep their results.")
                raise
        if form is not None:
            facemem.export(again.id, form, sys.stdout.buffer)  # type: ignore[arg-type]
        else:
            results().print(results_table(facemem.results(again.id)))
            results().print(plain(about(facemem.models(), again.bundle.digest)), markup=False)
    if not all_final(again):
        sys.exit(1)
