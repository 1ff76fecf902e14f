"""Logs of every process: one event a line, the same fields everywhere (`stage`, `job`, `batch`, `image`, `attempt`)."""

import logging
import sys

import structlog

from shared.settings import Settings

# These tell each request with its link: file names of people's photographs are in it, and signatures. What they ask for
# is not to outlive its job in a log.
TOO_OPEN = ("httpx", "httpcore", "botocore", "s3transfer", "urllib3")

# These tell twice what `batch_done` tells better.
TOO_TALKATIVE = ("celery.worker.strategy", "celery.app.trace")


def configure(settings: Settings) -> None:
    """Send structlog's and every library's logs to stderr, as text for people or as JSON for machines."""
    # Tracebacks show no local variables: passwords and captions are among them.
    before: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
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
