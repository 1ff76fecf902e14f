"""The command `facemem`: a list of its commands, and what becomes of their errors."""

from typing import Any

import rich_click as click
from pydantic import ValidationError

from services.cli.demo import demo
from services.cli.doctor.command import doctor
from services.cli.evaluate import evaluate
from services.cli.models import models
from services.cli.results import results
from services.cli.score import score
from services.cli.status import status
from services.cli.submit import submit
from services.cli.train import train
from services.cli.up import up
from shared.errors import FacememError

INTERRUPTED = 130  # exit status of what Ctrl-C ended, as shells have it


class Commands(click.RichGroup):
    """A group of commands whose errors end as a message and advice, without a traceback, and with exit status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise click.exceptions.Exit(INTERRUPTED) from None
        except FacememError as error:
            raise click.ClickException("\n\n".join(filter(None, [error.detail, error.advice()]))) from error
        except ValidationError as error:
            if error.title not in ("Settings", "LocalSettings"):
                raise
            wrong = [f"FACEMEM_{str(each['loc'][0]).upper()}: {each['msg']}" for each in error.errors()]
            raise click.ClickException("\n".join(["A setting is wrong.", *wrong])) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="facemem")
def cli() -> None:
    """Score how memorable the faces in photographs are, and see why.

    \b
    First time?              facemem demo
    A folder of your own:    facemem score ~/Pictures/shoot
    Many, one after another: facemem up     and, in another terminal, facemem submit
    Something is wrong?      facemem doctor

    The shipped model predicts how memorable people judge a face to be. It does not measure memory.
    """


for command in (demo, score, up, submit, status, results, models, train, evaluate, doctor):
    cli.add_command(command)
