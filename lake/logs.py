"""How every process of the platform logs: structured lines on stderr."""

import logging
import os
import sys

import structlog


def configure_logging() -> None:
    """Lines for a person to read, or JSON where TRAINSERVE_LOG=json."""
    as_json = os.environ.get("TRAINSERVE_LOG") == "json"
    if as_json:
        rendering: list[structlog.typing.Processor] = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    else:
        # Plain stacks: the default one prints local variables, and so the rows of clients.
        rendering = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)]
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True), *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
