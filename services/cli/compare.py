"""`facemem compare`: two sets, by their scores."""

from uuid import UUID

import rich_click as click

from services.cli import options


@click.command()
@click.argument("jobs", metavar="[JOB JOB]", nargs=-1, type=click.UUID)
@click.option("--label", "labels", metavar="WORD", multiple=True, help="All jobs with this label; in place of a job.")
@click.option("--json", "as_json", is_flag=True, help="The answer of the API, as one JSON object.")
@options.service
def compare(jobs: tuple[UUID, ...], labels: tuple[str, ...], as_json: bool, service: options.Service) -> None:
    """Compare the scores of two jobs, or of all jobs with two labels: the difference, and how sure it is.

    \b
    facemem compare 8f14e45f-ceea-467f-a9f3-2c1d0f1c9a57 c9f0f895-fb98-4ab9-9d3f-1c9a5745c48e
    facemem compare --label spring --label autumn
    """
    from services.cli.compare_table import comparison_view
    from services.cli.connection import connected
    from services.cli.terminal import results

    if len(jobs) + len(labels) != 2:
        raise click.UsageError("Name two: two jobs, two labels, or one of each.")
    sides = [*((job, None) for job in jobs), *((None, label) for label in labels)]
    (job_a, label_a), (job_b, label_b) = sides
    with connected(service) as facemem:
        found = facemem.compare(job_a, job_b, label_a=label_a, label_b=label_b)
        if as_json:
            click.echo(found.model_dump_json())
        else:
            results().print(comparison_view(found))
