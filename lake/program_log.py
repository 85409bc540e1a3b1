"""How every process of the platform logs: structured lines on stderr."""

import contextlib
import io
import logging
import os
import sys
from typing import TextIO, cast

import structlog


class _Unfailing(io.TextIOBase):
    """Writes to stderr. A line that cannot be written, as on a full disk, is lost: logging it must not stop what it is about."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.flush()


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
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Unfailing())),
        cache_logger_on_first_use=True,
    )
