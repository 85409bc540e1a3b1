"""What is laid down before an experiment begins: what it decides on, how sure it must be, for how long, what it may not harm."""

from lake.documents import StrictDocument
from lake.errors import SettingError

WEEK = 7


class ExperimentPlan(StrictDocument, frozen=True, kw_only=True):
    """The plan of the experiments of one arm; without any the defaults.

    It is "go" when the challenger's loss by `metric` (the use case's own without one) is surely below the champion's plus
    `margin`: 0 asks for a better one, above 0 for one that is not worse by more. `alpha` is the chance of deciding wrongly,
    half on each side, over all looks. With `longest_days` the design is group-sequential and ends then at the latest; without
    it is a confidence sequence, which may go on for as long as one likes and needs a larger difference. Nothing is "go"
    before `fewest_days` labelled days, a week at least. `futile_below` is the chance to succeed still, under the best that
    the answers so far allow, below which it is not worth going on.

    The challenger is stopped for what it harms, as soon as that is sure: a share of failed requests that is larger than the
    champion's by more than `greatest_error_increase`; a p95 latency above `greatest_p95_ratio` times the champion's; a loss
    beyond the margin; a loss in one slice that is larger by more than `greatest_slice_increase`, where that is given.

    `greatest_missing_share` is how much of the log may be missing: of the answers that its commits sealed; and of a shadow the
    requests that it has no answer to, else the days on which only one of the two answered.
    """

    metric: str | None = None
    margin: float = 0.0
    alpha: float = 0.05
    longest_days: int | None = None
    fewest_days: int = WEEK
    futile_below: float = 0.1
    greatest_error_increase: float = 0.01
    greatest_p95_ratio: float = 2.0
    greatest_slice_increase: float | None = None
    greatest_missing_share: float = 0.1

    def __post_init__(self) -> None:
        self._between("alpha", 0.0, 0.5)
        self._between("futile_below", 0.0, 0.5)
        self._between("greatest_missing_share", 0.0, 1.0)
        if self.fewest_days < WEEK:
            raise SettingError("fewest_days of an experiment", self.fewest_days, f"{WEEK} or more: a whole week")
        if self.longest_days is not None and self.longest_days < 2 * self.fewest_days:
            raise SettingError(
                "longest_days of an experiment", self.longest_days, f"none, or {2 * self.fewest_days} or more: twice fewest_days"
            )
        if self.greatest_p95_ratio <= 1:
            raise SettingError("greatest_p95_ratio of an experiment", self.greatest_p95_ratio, "a number above 1")

    def _between(self, name: str, low: float, high: float) -> None:
        value = getattr(self, name)
        if not low < value < high:
            raise SettingError(f"{name} of an experiment", value, f"a number between {low:g} and {high:g}")
