"""What an answer waits for: apart from the log itself, since the command line reads it in processes that write none."""

from typing import Literal

Durability = Literal["disk", "process"]
"""What an append waits for. `disk`: the disk has the records, which outlive a power cut. `process`: the operating system has
them, which outlive the process; the disk has them when their segment is closed."""
