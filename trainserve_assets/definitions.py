"""The code location: every use case below `defs/`, and the resources that all of them share."""

from pathlib import Path

import dagster as dg

from trainserve_assets.assets.maintenance import log_maintenance_definitions
from trainserve_assets.predictors import Predictors
from trainserve_assets.resources import LakeResource, fixed


@dg.definitions
def defs() -> dg.Definitions:
    """All definitions, run in one process unless a run says otherwise."""
    shared = dg.Definitions(resources=fixed(lake=LakeResource(), predictors=Predictors()), executor=dg.in_process_executor)
    use_cases = dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
    return dg.Definitions.merge(use_cases, log_maintenance_definitions(), shared)
