"""What the log of one worker tells Prometheus, and how much room its disk has."""

from prometheus_client import CollectorRegistry, Gauge

from lake.home import Home
from lake.log.backlog import backlog
from lake.log.group_commit import GroupCommit
from lake.log.room import Disk


class SpoolMetrics:
    """Gauges that are read only when they are asked for. Those of the disk and of the backlog are the whole machine's."""

    def __init__(self, registry: CollectorRegistry, home: Home, spool: GroupCommit) -> None:
        self._home = home
        self._spool = spool
        self._disk = Disk(home.spools)
        self._records = Gauge("trainserve_log_records_committed", "Records acknowledged here", registry=registry)
        self._commits = Gauge("trainserve_log_commits", "Group commits of this process", registry=registry)
        self._failing = Gauge("trainserve_log_failing", "1 while the log cannot be written", registry=registry)
        self._durability = Gauge(
            "trainserve_log_durability", "1 for what an answer waits for: disk or process", ["durability"], registry=registry
        )
        self._torn_bytes = Gauge(
            "trainserve_log_torn_bytes", "Bytes without a whole record that were cut off at the start", registry=registry
        )
        self._free_bytes = Gauge("trainserve_log_disk_free_bytes", "Room on the spool's disk", registry=registry)
        self._hours = Gauge(
            "trainserve_log_disk_hours_until_full",
            "Time until the spool's disk is full at its pace, infinite while it does not fill",
            registry=registry,
        )
        self._backlog_bytes = Gauge("trainserve_log_backlog_bytes", "Bytes that no table has yet", registry=registry)

    def measure(self) -> None:
        """Read them now."""
        spool, room = self._spool, self._disk.look()
        self._records.set(spool.records_committed)
        self._commits.set(spool.commits)
        self._failing.set(spool.failure is not None)
        self._durability.labels(spool.slot.durability).set(1)
        self._torn_bytes.set(spool.slot.torn_bytes)
        self._free_bytes.set(room.free_bytes)
        self._hours.set(room.hours_until_full)
        self._backlog_bytes.set(backlog(self._home).bytes)
