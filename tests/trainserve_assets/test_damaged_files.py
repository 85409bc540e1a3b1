"""A data file of the log that cannot be read fails a run with its name and what to do, and with nothing of the reader's."""

import polars as pl
import pytest

from lake.tables import DATASET, LABELS, PREDICTIONS, WINDOWS
from tests.damage import DAMAGES, Damage, cut, damaged
from tests.parcel_log import append_log, fortnight, labels_of, two_arms
from tests.parcel_training import Platform, failures


def logged(platform: Platform) -> None:
    sent = fortnight()
    append_log(platform.home.lake, two_arms(sent, pl.col("probability")), labels_of(sent))


@pytest.mark.parametrize(("name", "damage"), [*((PREDICTIONS, damage) for damage in DAMAGES), (LABELS, cut)])
def test_assets_that_read_the_log_name_its_damaged_file(watched: Platform, name: str, damage: Damage) -> None:
    logged(watched)
    table = watched.lake.table(watched.use_case.name, name)
    file = damaged(table, damage)

    for asset in ("windows", "feedback", "experiment"):
        said = failures(watched.run([asset]))
        found = f"/{name}, version {table.version()}, does not verify: found the data file {file.name}, which cannot be read"
        assert found in said, asset
        assert f"Put back {file} from a copy" in said


def test_checks_and_training_name_damaged_files_too(watched: Platform) -> None:
    logged(watched)
    assert watched.run(["windows"]).success
    file = damaged(watched.lake.table(watched.use_case.name, WINDOWS), cut)
    said = failures(watched.run(["windows"]))
    assert f"found the data file {file.name}, which cannot be read" in said

    file = damaged(watched.lake.table(watched.use_case.name, DATASET), cut)
    said = failures(watched.run(["candidate_line"]))
    assert f"found the data file {file.name}, which cannot be read" in said
