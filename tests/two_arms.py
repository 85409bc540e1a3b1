"""A champion and a challenger as programs behind a proxy, and the parcels that clients send to them."""

from collections.abc import Iterator
from itertools import count

from lake.home import Home
from tests.ports import proxy_port
from tests.scenario import USE_CASE
from tests.served import varied
from trainserve_assets.demo.replay import Example
from trainserve_assets.platform.topology import Topology

MINUTE_US = 60_000_000


def two_arms(home: Home, challenger_share: float) -> Topology:
    """Predictors of both arms, the proxy and the shipper, on free ports."""
    arms = ((USE_CASE, "champion"), (USE_CASE, "challenger"))
    shares = ((USE_CASE, "challenger", challenger_share),)
    return Topology(home=home, host="127.0.0.1", proxy_port=proxy_port(len(arms)), dagit_port=0, arms=arms, shares=shares)


def labelled_parcels() -> Iterator[Example]:
    """Parcels without end, a minute apart, each labelled three hours later."""
    rows = varied(3_000)
    for number in count():
        yield Example(
            key=str(number),
            event_time_us=number * MINUTE_US,
            record=rows[number % len(rows)] | {"parcel_id": f"P-{number}"},
            label=float(number % 2),
            labelled_at_us=(number + 180) * MINUTE_US,
        )
