"""`facemem explain`: why one face has its score."""

import sys
from pathlib import Path

import rich_click as click

from services.cli import options


@click.command()
@click.argument("face_id", metavar="FACE_ID", type=click.IntRange(1, 2**63 - 1))
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.png",
    help="Save the explanation as one page and print no table.",
)
@click.option("--json", "as_json", is_flag=True, help="The answer of the API, as one JSON object; no table.")
@options.service
def explain(face_id: int, output: Path | None, as_json: bool, service: options.Service) -> None:
    """Show what made the score of a face.

    FACE_ID is the column `id` of the results, and `face_id` in their JSON and CSV.
    Prints every word of the caption with what it adds, and the sum of all parts beside the logit; or saves a page with
    crop, heat map, coloured caption and the regions of the heaviest words. If no facemem runs on the data folder, one
    is started for the occasion.

    \b
    facemem explain 12
    facemem explain 12 --output face-12.png
    facemem explain 12 --json | jq .words
    """
    from services.cli.connection import started_if_needed
    from services.cli.explanation_table import explanation_table
    from services.cli.terminal import notes, plain, results
    from services.client.wording import about

    console = notes()
    with started_if_needed(service, console) as facemem:
        face = facemem.face(face_id)
        if output is not None:
            picture = facemem.explanation_picture(face)
            output.parent.mkdir(parents=True, exist_ok=True)
            output.write_bytes(picture)
            console.print(f"Explanation: {output}", markup=False, soft_wrap=True)
        if as_json:
            sys.stdout.write(facemem.explanation(face).model_dump_json() + "\n")
        if as_json or output is not None:
            return
        results().print(explanation_table(face, facemem.explanation(face)))
        if face.bundle is not None:
            results().print(plain(about(facemem.models(), face.bundle.digest)), markup=False)
