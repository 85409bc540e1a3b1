"""Parameters: what an operator can change at run time, one versioned document for each use case.

The environment is version 0 and holds only until something is stored.
"""

from lake.parameters.checked import check_parameters
from lake.parameters.document import Arm, Parameters
from lake.parameters.environment import parameters_from_environment
from lake.parameters.stored import (
    find_copy,
    find_parameters,
    keep_copy,
    newest_parameters,
    publish_parameters,
    read_parameters,
)

__all__ = [
    "Arm",
    "Parameters",
    "check_parameters",
    "find_copy",
    "find_parameters",
    "keep_copy",
    "newest_parameters",
    "parameters_from_environment",
    "publish_parameters",
    "read_parameters",
]
