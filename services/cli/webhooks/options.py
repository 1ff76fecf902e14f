"""Naming a webhook on the command line."""

import rich_click as click

webhook = click.argument("webhook", metavar="ID", type=click.UUID)
