"""`facemem what-if`: what a face would score under other words."""

import sys

import rich_click as click

from services.cli import options


@click.command("what-if")
@click.argument("face_id", metavar="FACE_ID", type=click.IntRange(1, 2**63 - 1))
@click.argument("caption")
@click.option("--json", "as_json", is_flag=True, help="The face under these words, as one JSON object.")
@options.service
def what_if(face_id: int, caption: str, as_json: bool, service: options.Service) -> None:
    """Score a face under a caption of your own. The face keeps the score that it has.

    FACE_ID is the column `id` of the results, and `face_id` in their JSON and CSV.

    \b
    facemem what-if 12 "A broad smile with teeth, wide open eyes."
    """
    from services.cli.connection import connected
    from services.cli.explanation_table import explanation_table
    from services.cli.journey import all_final, watched
    from services.cli.progress import Display
    from services.cli.terminal import notes, results

    with connected(service) as facemem:
        before = facemem.face(face_id)
        with Display(notes()) as display:
            job = watched(facemem, facemem.rescore_face(face_id, caption), display)
        [image] = facemem.results(job.id)
        scored = [face for face in image.faces if face.score is not None]
        if not all_final(job) or not scored:
            raise click.ClickException(f"It was not scored: {image.detail or image.reason or image.state}")
        [face] = scored
        if as_json:
            sys.stdout.write(face.model_dump_json() + "\n")
            return
        results().print(explanation_table(face, facemem.explanation(face)))
        was = "no score" if before.score is None else f"{before.score:.3f}"
        results().print(f"Score {face.score:.3f} under these words; it is {was} under its own.", markup=False)
