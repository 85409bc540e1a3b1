"""A verdict as Dagit shows it: its figures can be read, and their reason stands first."""

import dagster as dg

from checks.verdict import Verdict
from trainserve_assets.verdicts import check_result


def test_a_figure_has_as_many_digits_as_can_be_read() -> None:
    verdict = Verdict(passed=False, reason="it is far off", observed=2.278597068559842, limit=0.1 + 0.2, rows=1_234_567)
    result = check_result({"champion": verdict, "challenger": verdict}, dg.AssetCheckSeverity.ERROR)

    assert result.description == "champion: it is far off"
    shown = {name: one.value for name, one in result.metadata.items() if name != "each"}
    assert shown == {"observed": 2.2786, "limit": 0.3, "rows": 1_234_567}
    each = result.metadata["each"]
    assert isinstance(each, dg.TableMetadataValue)
    assert [record.data["observed"] for record in each.records] == [2.2786, 2.2786]
