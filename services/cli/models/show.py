"""`facemem models show`: a bundle's card."""

import json
from pathlib import Path

import rich_click as click

from services.cli import options
from services.cli.models import arguments


@click.command()
@arguments.bundle_argument
@click.option("--json", "as_json", is_flag=True, help="The card for programs, with the bundle's name and digest.")
@options.home
def show(bundle: str, as_json: bool, home: Path | None) -> None:
    """Show a bundle's card: what it was made from, how good it is, and what it must not be taken for.

    NAME is a name, a digest (its first 8 digits will do) or a bundle's folder.

    \b
    facemem models show compact
    facemem models show compact --json | jq .results.quality
    """
    from rich.markdown import Markdown

    from services.cli.terminal import plain, results
    from shared.memorability.verification import CARD_FOR_PEOPLE

    found = arguments.named(bundle, home)
    if as_json:
        click.echo(json.dumps({**found.card, "name": found.name, "digest": found.digest}, indent=1))
        return
    try:
        lines = (found.path / CARD_FOR_PEOPLE).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        lines = ["```json", *json.dumps(found.card, indent=1).splitlines(), "```"]
    results().print(Markdown("\n".join(plain(line) for line in lines), hyperlinks=False))
    results().print(f"\nDigest  {found.digest}\nFolder  {plain(str(found.path))}", markup=False, soft_wrap=True)
