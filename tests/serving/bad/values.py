"""Records with values that their fields cannot have."""

from tests.scenario import parcel, records_body, without
from tests.serving.bad.parts import ANY_TEXT, BOOLEAN, DEPOT, KG, KM, MALFORMED, MANY_X, NAMES, ONCE, STOPS, TIME, Bad, row, text

VALUES = [
    Bad("a literal NaN", text("12.5", "NaN"), f"body: found {MALFORMED}invalid character (byte 108), expected JSON"),
    Bad("a literal infinity", text("12.5", "Infinity"), f"body: found {MALFORMED}invalid character (byte 108), expected JSON"),
    Bad(
        "a literal minus infinity",
        text("40.25", "-Infinity"),
        f"body: found {MALFORMED}invalid character (byte 128), expected JSON",
    ),
    Bad("a number beyond all", text("40.25", "1e999"), f"records[0].distance_km: found inf, expected {KM}"),
    Bad(
        "an integer beyond all",
        text("40.25", "1" + "0" * 400),
        f"records[0].distance_km: found 1{'0' * 37}...{'0' * 39}, expected {KM}",
    ),
    Bad("a hexadecimal number", text("12.5", "0x10"), f"body: found {MALFORMED}expected ',' or '}}' (byte 109), expected JSON"),
    Bad("a number with zeros before", text("12.5", "012.5"), f"body: found {MALFORMED}invalid number (byte 109), expected JSON"),
    Bad("a number in a string", row(weight_kg="12.5"), f"records[0].weight_kg: found '12.5', expected {KG}"),
    Bad("a number below its range", row(weight_kg=-0.001), f"records[0].weight_kg: found -0.001, expected {KG}"),
    Bad(
        "a number above its range",
        row(weight_kg=1000.0000000001),
        f"records[0].weight_kg: found 1000.0000000001, expected {KG}",
    ),
    Bad("no number", row(weight_kg=True), f"records[0].weight_kg: found true, expected {KG}"),
    Bad("null where none may be", row(weight_kg=None), f"records[0].weight_kg: found null, expected {KG}"),
    Bad("a fraction for an integer", row(stops=2.5), f"records[0].stops: found 2.5, expected {STOPS}"),
    Bad("a float for an integer", text('"stops":3', '"stops":3.0'), f"records[0].stops: found 3.0, expected {STOPS}"),
    Bad("an integer above its range", row(stops=51), f"records[0].stops: found 51, expected {STOPS}"),
    Bad("an integer of 70 bits", row(stops=2**70), f"records[0].stops: found 1180591620717411303424, expected {STOPS}"),
    Bad("an integer in a string", row(stops="3"), f"records[0].stops: found '3', expected {STOPS}"),
    Bad("a number for a boolean", row(express=1), f"records[0].express: found 1, expected {BOOLEAN}"),
    Bad("text for a boolean", row(express="false"), f"records[0].express: found 'false', expected {BOOLEAN}"),
    Bad("an unknown category of a closed list", row(depot="west"), f"records[0].depot: found 'west', expected {DEPOT}"),
    Bad("a category in other letters", row(depot="North"), f"records[0].depot: found 'North', expected {DEPOT}"),
    Bad("an empty category", row(depot=""), f"records[0].depot: found '', expected {DEPOT}"),
    Bad("a number for a category", row(carrier=3), f"records[0].carrier: found 3, expected {ANY_TEXT}, or null"),
    Bad("a text of 257 characters", row(carrier="x" * 257), f"records[0].carrier: found {MANY_X}, expected {ANY_TEXT}, or null"),
    Bad("a list for a value", row(carrier=["van"]), f"records[0].carrier: found ['van'], expected {ANY_TEXT}, or null"),
    Bad("an object for a value", row(distance_km={"km": 1}), f"records[0].distance_km: found {{'km': 1}}, expected {KM}"),
    Bad(
        "a time without its offset",
        row(sent_at="2013-07-01T09:30:00"),
        f"records[0].sent_at: found '2013-07-01T09:30:00', expected {TIME}",
    ),
    Bad(
        "a day that is not there",
        row(sent_at="2013-02-29T09:30:00Z"),
        f"records[0].sent_at: found '2013-02-29T09:30:00Z', expected {TIME}",
    ),
    Bad(
        "a time that UTC has no year for",
        row(sent_at="0001-01-01T00:00:00+14:00"),
        f"records[0].sent_at: found '0001-01-01T00:00:00+14:00', expected {TIME}",
    ),
    Bad("a time in words", row(sent_at="yesterday"), f"records[0].sent_at: found 'yesterday', expected {TIME}"),
    Bad("a time as a number", row(sent_at=1372671000), f"records[0].sent_at: found 1372671000, expected {TIME}"),
    Bad(
        "a field that is missing",
        records_body(parcel(), without(parcel(), "depot")),
        f"records[1].depot: found nothing, expected {DEPOT}",
    ),
    Bad("an unknown field", row(colour="red"), f"records[0].colour: found an unknown field, expected one of {NAMES}"),
    Bad("a field in other letters", row(Weight_kg=1.0), f"records[0].Weight_kg: found an unknown field, expected one of {NAMES}"),
    Bad(
        "a row that is a list",
        records_body([1, 2]),
        "records[0]: found [1, 2], expected an object with the fields of the input schema",
    ),
    Bad(
        "an empty row",
        records_body({}),
        (
            f"records[0].parcel_id: found nothing, expected {ANY_TEXT}; "
            f"records[0].sent_at: found nothing, expected {TIME}; "
            f"records[0].depot: found nothing, expected {DEPOT}; "
            f"records[0].weight_kg: found nothing, expected {KG}; "
            f"records[0].express: found nothing, expected {BOOLEAN}"
        ),
    ),
    Bad("a member twice", text('"stops":3', '"stops":3,"stops":4'), f"records[0].stops: {ONCE}"),
    Bad("a member twice, once null", text('"stops":3', '"stops":null,"stops":4'), f"records[0].stops: {ONCE}"),
    Bad("a member twice, once spelled otherwise", text('"stops":3', '"stops":3,"st\\u006fps" : 4'), f"records[0].stops: {ONCE}"),
    Bad(
        "all its problems",
        records_body(parcel(stops=99, depot=""), parcel(express=0)),
        (
            f"records[0].depot: found '', expected {DEPOT}; "
            f"records[0].stops: found 99, expected {STOPS}; "
            f"records[1].express: found 0, expected {BOOLEAN}"
        ),
    ),
]
