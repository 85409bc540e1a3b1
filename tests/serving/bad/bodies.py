"""Bodies that are no request, or say of themselves that they are none."""

import msgspec

from tests.scenario import parcel, records_body
from tests.serving.bad.parts import ANY_TEXT, MALFORMED, MANY_X, RECORDS, Bad, text

BODIES = [
    Bad("nothing", b"", "body: found nothing, expected JSON"),
    Bad("white space", b" \n", "body: found nothing, expected JSON"),
    Bad("a form", b"weight_kg=12", f"body: found {MALFORMED}invalid character (byte 0), expected JSON"),
    Bad("UTF-16", '{"records": []}'.encode("utf-16"), f"body: found {MALFORMED}invalid character (byte 0), expected JSON"),
    Bad(
        "a byte order mark",
        b"\xef\xbb\xbf" + records_body(parcel()),
        f"body: found {MALFORMED}invalid character (byte 0), expected JSON",
    ),
    Bad(
        "Latin-1",
        text("P-1", "P\u00fc").replace("\u00fc".encode(), b"\xfc"),
        "body: found bytes that are not UTF-8, expected JSON",
    ),
    Bad(
        "half a pair of surrogates",
        text('"P-1"', '"\\ud800"'),
        f"body: found {MALFORMED}unexpected end of escaped utf-16 surrogate pair (byte 32), expected JSON",
    ),
    Bad("a control character", text("P-1", "P\n1"), f"body: found {MALFORMED}invalid character (byte 27), expected JSON"),
    Bad("nesting without end", b'{"records": [' + b"[" * 100_000, "body: found more levels than can be read, expected JSON"),
    Bad("half a body", records_body(parcel())[:-1], "body: found an end that came too soon, expected JSON"),
    Bad(
        "a body and more",
        records_body(parcel()) + b"{}",
        f"body: found {MALFORMED}trailing characters (byte 162), expected JSON",
    ),
    Bad(
        "a comma too many",
        text("false}", "false,}"),
        f"body: found {MALFORMED}trailing comma in object (byte 159), expected JSON",
    ),
    Bad(
        "comments",
        b"// a parcel\n" + records_body(parcel()),
        f"body: found {MALFORMED}invalid character (byte 0), expected JSON",
    ),
    Bad("null", b"null", f"body: found null, expected {RECORDS}"),
    Bad("a list", b"[]", f"body: found [], expected {RECORDS}"),
    Bad(
        "a row without records",
        msgspec.json.encode(parcel()),
        f"body: found {{'carrier': 'van', 'depot': 'north', 'distance_km': 40.25, 'express': False, ..., expected {RECORDS}",
    ),
    Bad("records that are an object", b'{"records": {}}', f"body: found {{'records': {{}}}}, expected {RECORDS}"),
    Bad("no row", records_body(), "records: found 0 rows, expected 1 to 10000 rows"),
    Bad("too many rows", records_body(*[parcel()] * 10_001), "records: found 10001 rows, expected 1 to 10000 rows"),
    Bad("an unknown member", records_body(parcel(), model="x"), "model: found an unknown member, expected records, id"),
    Bad("an id that is a number", records_body(parcel(), id=7), f"id: found 7, expected {ANY_TEXT}"),
    Bad("an id of a megabyte", records_body(parcel(), id="x" * 1_000_000), f"id: found {MANY_X}, expected {ANY_TEXT}"),
    Bad(
        "plain text",
        records_body(parcel()),
        "The content-type is 'text/plain', expected application/json.",
        status=415,
        headers={"content-type": "text/plain"},
    ),
    Bad(
        "a form by its type",
        records_body(parcel()),
        "The content-type is 'application/x-www-form-urlencoded', expected application/json.",
        status=415,
        headers={"content-type": "application/x-www-form-urlencoded"},
    ),
    Bad(
        "bytes",
        records_body(parcel()),
        "The content-type is 'application/octet-stream', expected application/json.",
        status=415,
        headers={"content-type": "application/octet-stream"},
    ),
    Bad(
        "compressed",
        records_body(parcel()),
        "The content-encoding is 'gzip', expected none.",
        status=415,
        headers={"content-encoding": "gzip"},
    ),
    Bad(
        "too many bytes",
        b" " * 10_000_001,
        "The body is larger than the 10,000,000 bytes that one request may have: send fewer rows at once.",
        status=413,
    ),
    Bad(
        "another model",
        records_body(parcel()),
        "There is no model 'other'. This predictor serves 'late_parcel'.",
        path="/models/other/predict",
        status=404,
    ),
]
