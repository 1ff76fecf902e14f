"""The command `facemem`: a list of its commands, and what becomes of their errors."""

from typing import Any

import rich_click as click
from pydantic import ValidationError

from services.cli.audit import audit
from services.cli.backup import backup
from services.cli.compare import compare
from services.cli.control import cancel, pause, resume
from services.cli.delete import delete
from services.cli.demo import demo
from services.cli.doctor.command import doctor
from services.cli.evaluate import evaluate
from services.cli.explain import explain
from services.cli.insights import insights
from services.cli.jobs import jobs
from services.cli.keys import keys
from services.cli.limits import limits
from services.cli.models import models
from services.cli.plan import plan
from services.cli.rescore import rescore
from services.cli.restore import restore
from services.cli.results import results
from services.cli.retry import retry
from services.cli.score import score
from services.cli.status import status
from services.cli.submit import submit
from services.cli.trace import trace
from services.cli.train import train
from services.cli.up import up
from services.cli.webhooks import webhooks
from services.cli.what_if import what_if
from shared.errors import FacememError

INTERRUPTED = 130  # exit status of what Ctrl-C ended, as shells have it


class Commands(click.RichGroup):
    """Commands in the order given. Their errors end as message and advice, without a traceback, with exit status 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise SystemExit(INTERRUPTED) from None
        except FacememError as error:
            raise click.ClickException("\n\n".join(filter(None, [error.detail, error.advice()]))) from error
        except BrokenPipeError:
            raise  # the reader of our output has seen enough: click ends quietly
        except OSError as error:
            raise click.ClickException(str(error)) from error
        except ValidationError as error:
            if error.title not in ("Settings", "LocalSettings", "OllamaSettings"):
                raise
            wrong = [f"FACEMEM_{str(each['loc'][0]).upper()}: {each['msg']}" for each in error.errors()]
            raise click.ClickException("\n".join(["A setting is wrong.", *wrong])) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.rich_config({"text_paragraph_linebreaks": "\n\n", "padding_helptext_first_line": (0, 0, 1, 0)})
@click.version_option(package_name="facemem")
def cli() -> None:
    """Score how memorable the faces in photographs are, and see why.

    The shipped model predicts how memorable people judge a face to be. It does not measure memory.

    \b
    The first time           facemem demo
    A folder of your own     facemem score ~/Pictures/shoot
    Something is wrong       facemem doctor
    """


GROUPS: dict[str, list[click.Command]] = {
    "Begin here": [demo, score, up, doctor],
    "Jobs": [submit, jobs, status, pause, resume, cancel, retry, delete],
    "Results": [results, explain, what_if, compare, insights, rescore],
    "The service": [plan, limits, keys, webhooks, audit, trace, backup, restore],
    "Models": [models, train, evaluate],
}
for title, commands in GROUPS.items():
    cli.add_panel(click.RichCommandPanel(title, commands=[str(command.name) for command in commands]))
    for command in commands:
        cli.add_command(command)
