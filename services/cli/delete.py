"""`facemem delete`: a job or an image, with all that is known of it."""

from uuid import UUID

import rich_click as click

from services.cli import options

WAIT_SECONDS = 3600.0


@click.command()
@click.argument("job", metavar="[JOB]", type=click.UUID, required=False)
@click.option("--image", type=click.IntRange(1, 2**63 - 1), metavar="IMAGE_ID", help="Only this image of a job.")
@click.option("--wait", is_flag=True, help="Stay until everything is gone from storage too.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="The receipt, as one JSON object.")
@options.service
def delete(job: UUID | None, image: int | None, wait: bool, yes: bool, as_json: bool, service: options.Service) -> None:
    """Delete a job, or one image, with its results, photos and faces, also while the job runs.

    Jobs that score the same faces again go with it. There is no way back. What is printed is the receipt.

    \b
    facemem delete 8f14e45f-ceea-467f-a9f3-2c1d0f1c9a57
    facemem delete --image 4711 --yes --wait
    """
    from services.cli.connection import connected
    from services.cli.removal_tables import receipt

    if (job is None) == (image is None):
        raise click.UsageError("Name a job, or an image with --image.")
    if not yes:
        what = f"job {job}" if image is None else f"image {image}"
        click.confirm(f"Delete {what} for good?", abort=True, err=True)
    with connected(service) as facemem:
        found = facemem.delete_job(job) if job is not None else facemem.delete_image(image or 0)
        if wait:
            found = facemem.deletion(found.id, wait_seconds=WAIT_SECONDS)
    click.echo(found.model_dump_json() if as_json else receipt(found))
