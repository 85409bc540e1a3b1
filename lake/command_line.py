"""The command `trainserve`: its commands come from an entry-point group, so that each package brings its own.

A server image without Dagster has no training commands; they are not listed there, and nothing is imported that the
command given does not need.
"""

import sys
from importlib.metadata import entry_points, version

import cyclopts
from rich.console import Console
from rich.markup import escape

from lake.errors import TrainServeError

GROUP = "trainserve.commands"


def main() -> None:
    """Run the command; an error that this platform raises on purpose is one message and status 1."""
    app = cyclopts.App(
        name="trainserve",
        help="Train, release by hand, serve, log every answer, watch it.",
        version=version("trainserve"),
        result_action="return_value",
    )
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        app.command(entry.value, name=entry.name)
    try:
        sys.exit(app() or 0)
    except TrainServeError as error:
        Console(stderr=True).print(f"[bold red]trainserve:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
