"""Logs of every process: one event a line, the same fields everywhere (docs/logs.md).

`image` is the one image that a line is about, `images` are the ids of all that it is about: one filter finds an image's
way. Whoever begins something binds its fields for all lines that follow: the frame around a stage's work, the API
around a request. Lines hold ids, codes and numbers; never names, links or captions.
"""

import logging
import socket
import sys

import structlog

from shared.settings import Settings

# These tell each request with its link: file names of people's photographs are in it, and signatures. What they ask for
# is not to outlive its job in a log.
TOO_OPEN = ("httpx", "httpcore", "botocore", "s3transfer", "urllib3")

# These tell twice what `batch_done` tells better.
TOO_TALKATIVE = ("celery.worker.strategy", "celery.app.trace")


def process_name(name: str) -> str:
    """How a process is called in logs, in Flower and in traces: `detection-1@machine`."""
    return f"{name}@{socket.gethostname()}"


def configure(settings: Settings, name: str) -> None:
    """Send structlog's and every library's logs to stderr, as text for people or as JSON for machines.

    `name` is the kind of process, with a number where there are several on one machine.
    """
    # Tracebacks show no local variables: passwords and captions are among them.
    before: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        of_one_image,
        _naming(process_name(name)),
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if settings.log_format == "json":
        last: list[structlog.types.Processor] = [
            structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(),
        ]
    else:
        last = [
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
        ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level.upper())
    for library in (*TOO_OPEN, *TOO_TALKATIVE):
        logging.getLogger(library).setLevel(max(root.level, logging.WARNING))
    structlog.configure(
        processors=[*before, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[settings.log_level.upper()]),
        cache_logger_on_first_use=False,
    )


def of_one_image(_: object, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """A line about one image is not about the others of its batch."""
    if "image" in event:
        event.pop("images", None)
    return event


def _naming(process: str) -> structlog.types.Processor:
    def name(_: object, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
        event["process"] = process
        return event

    return name
