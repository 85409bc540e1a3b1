"""The code location that the browser tests open: parcels, on the home that the environment names."""

import dagster as dg

from tests.parcel_training import parcel_use_case
from trainserve_assets.component import use_case_definitions
from trainserve_assets.predictors import Predictors
from trainserve_assets.resources import LakeResource, fixed

defs = dg.Definitions.merge(
    use_case_definitions(parcel_use_case()),
    dg.Definitions(resources=fixed(lake=LakeResource(), predictors=Predictors()), executor=dg.in_process_executor),
)
