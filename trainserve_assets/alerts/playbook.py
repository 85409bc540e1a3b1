"""Which section of docs/playbook.md a check has."""

from collections.abc import Collection

# One section for all of them: gates are named by the use case.
GATES = "gates-of-the-release-standard"


def section_of(check: str, gates: Collection[str] = ()) -> str:
    """The anchor of a check's section: its own name, but for gates, which share one."""
    return GATES if check in gates else check
