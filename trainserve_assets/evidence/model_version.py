"""The version of a model, `name X.Y.Z-data.split`, as in the data and model versioning pattern.

X counts the releases of the use case and is 0 before one, Y is the input schema's version, Z the candidate's
revision; behind the dash stand the dataset's Delta version and the split's version.
"""

from lake.package import Package
from trainserve_assets.use_case import Candidate, UseCase


def unreleased_version(use_case: UseCase, candidate: Candidate, package: Package) -> str:
    """The version of a package that nobody has released."""
    manifest = package.manifest
    data = f"{manifest.dataset_version}.{use_case.split.version}"
    return f"{candidate.name} 0.{manifest.input_schema_version}.{candidate.revision}-{data}"
