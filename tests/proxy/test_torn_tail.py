"""What a crash left half-written is cut off by the proxy that takes the slot next, which says how much it was."""

from lake.documents import DocumentStore
from lake.home import Home
from lake.input_schema import publish_input_schema
from lake.log.audit import Audit, Scope
from lake.log.segment import segments
from lake.log.shipper import Shipper
from lake.log.slot import slots
from tests.proxied import NOBODY, labels, parameters, proxied
from tests.proxy.test_labels import LABELS
from tests.scenario import parcel_schema

TORN = b"\xc1TS1 half a record"


def test_a_torn_tail_is_cut_kept_and_counted_and_the_log_goes_on(home: Home, store: DocumentStore) -> None:
    publish_input_schema(store, parcel_schema())
    with proxied(home, parameters({"champion": NOBODY})) as client:
        assert client.post(LABELS, json={"request_id": "first", "label": 1}).status_code == 202
        [slot] = slots(home.spools)
        crashed = segments(slot)[0].read_bytes()
    for path in segments(slot)[1:]:
        path.unlink()
    segments(slot)[0].write_bytes(crashed + TORN)

    with proxied(home, parameters({"champion": NOBODY})) as client:
        assert f"trainserve_log_torn_bytes {len(TORN):.1f}\n" in client.get("/metrics").text
        assert client.post(LABELS, json={"request_id": "second", "label": 0}).status_code == 202

    assert [label.request_id for label in labels(home)] == ["first", "second"]
    assert [path.read_bytes() for path in slot.glob("*.torn")] == [TORN]
    Shipper(home).ship()
    assert list(Audit(home, Scope()).findings()) == []
