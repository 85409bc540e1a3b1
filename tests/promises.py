"""What a client may rely on, whatever was killed meanwhile, judged by the client's own record."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import msgspec
import polars as pl

from lake.delta import Table
from lake.home import Home
from lake.log.audit import Audit, Scope
from lake.tables import COMMITS, LABELS, LOG, PREDICTIONS
from tests.scenario import USE_CASE
from trainserve_assets.demo.record import ClientRecord, Line, Sent


def assert_promises_kept(home: Home, record: ClientRecord, path: Path) -> None:
    """Acknowledged is within logged, logged is within sent, no key twice; and the log is sealed whole.

    `path` is where the record stands. All that was logged must have been shipped.
    """
    rows = Table(home.lake, USE_CASE, PREDICTIONS).scan()
    logged = rows.filter(outcome="answered").select("request_id", "row", "arm", "client_request_id").collect()
    keys = dict(logged.select("request_id", "client_request_id").iter_rows())
    acknowledged = {answer.request_id: key for key, answer in record.answers.items()}
    assert acknowledged.items() <= keys.items(), "an answer that the client has is not in the table, or is another's"
    assert logged.select("request_id", "row", "arm").is_duplicated().sum() == 0, "a row stands twice"
    sent = Counter(line.key for line in _lines(path) if isinstance(line, Sent))
    assert Counter(keys.values()) <= sent, "a row for a request that nobody sent"
    labels = set(Table(home.lake, USE_CASE, LABELS).scan().select("request_id").collect()["request_id"])
    assert {record.answers[key].request_id for key in record.labelled} <= labels, "an accepted label is not in the table"
    assert_numbered_without_gaps(home)
    assert list(Audit(home, Scope()).findings()) == []


def assert_numbered_without_gaps(home: Home) -> None:
    """Each slot's records stand in the tables by their numbers, all of them, with the commits that seal them."""
    tables = (Table(home.lake, USE_CASE, PREDICTIONS), Table(home.lake, USE_CASE, LABELS), Table(home.lake, LOG, COMMITS))
    numbered = (
        pl.concat(table.scan().select("spool_id", "seq") for table in tables if table.exists()).sort("spool_id", "seq").collect()
    )
    for (spool,), records in numbered.group_by("spool_id"):
        numbers = records["seq"].to_list()
        assert numbers[0] == 1, spool
        assert all(later == earlier + 1 for earlier, later in pairwise(numbers)), spool


def _lines(path: Path) -> list[Line]:
    return [msgspec.json.decode(line, type=Line) for line in path.read_bytes().splitlines()]
