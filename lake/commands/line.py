"""The command `trainserve`: its commands come from an entry-point group, so that each package brings its own.

A server image without Dagster lists no training commands, and nothing is imported that the command given does not need.
"""

import sys
from importlib.metadata import EntryPoint, entry_points, version
from typing import Any

import cyclopts
from rich.console import Console
from rich.markup import escape

from lake.errors import TrainServeError

GROUP = "trainserve.commands"
_HELP = {"--help", "-h"}


def main() -> None:
    """Run the command. An error that was raised on purpose, or that the system gave, is one message and status 1."""
    app = cyclopts.App(
        name="trainserve",
        help="Train, release by hand, serve, log every answer, watch it.",
        version=version("trainserve"),
        result_action="return_value",
        default_parameter=cyclopts.Parameter(negative=()),  # no --no-yes, no --empty-waive
    )
    _add_commands(app, with_descriptions=len(sys.argv) == 1 or sys.argv[1] in _HELP)
    try:
        sys.exit(app(sys.argv[1:]) or 0)
    except TrainServeError as error:
        _fail(str(error))
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        _fail(f"{error.strerror or error}{where}")
    except KeyboardInterrupt:
        sys.exit(130)


def _add_commands(app: cyclopts.App, *, with_descriptions: bool) -> None:
    """Add the installed commands: by name alone, or imported where their descriptions are asked for."""
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        if not with_descriptions:
            app.command(entry.value, name=entry.name)
        elif (function := _loaded(entry)) is not None:
            app.command(function, name=entry.name)


def _loaded(entry: EntryPoint) -> Any:
    """The command, or None where what it needs is not installed."""
    try:
        return entry.load()
    except ModuleNotFoundError:
        return None


def _fail(message: str) -> None:
    Console(stderr=True).print(f"[bold red]trainserve:[/] {escape(message)}", highlight=False, soft_wrap=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
