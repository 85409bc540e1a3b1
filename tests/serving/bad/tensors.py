"""Requests in the Open Inference Protocol that are wrong, all in JSON."""

from tests.scenario import parcel, records_body, tensors_body
from tests.served import INFER
from tests.serving.bad.parts import (
    ANY_TEXT,
    BOOLEAN,
    DEPOT,
    INTEGERS,
    KG,
    MALFORMED,
    NAMES,
    NUMBERS,
    ONCE,
    PROTOCOL,
    STOPS,
    TENSOR,
    TIME,
    UNSUPPORTED,
    Bad,
    request,
    tensors,
)

TENSORS = [
    Bad("nothing", b"", "body: found nothing, expected JSON", INFER),
    Bad(
        "records",
        records_body(parcel()),
        f"body: found {{'records': [{{'carrier': 'van', 'depot': 'north', 'distance_km': 40.25, 'expr..., expected {PROTOCOL}",
        INFER,
    ),
    Bad("no inputs", b'{"inputs": []}', f"body: found {{'inputs': []}}, expected {PROTOCOL}", INFER),
    Bad(
        "an input that is a number",
        b'{"inputs": [1]}',
        f"inputs[0]: found 1, expected an object with the members {TENSOR}",
        INFER,
    ),
    Bad(
        "an input of a name alone",
        b'{"inputs": [{"name": "stops"}]}',
        (
            "inputs[0].datatype: found nothing, expected text; "
            "inputs[0].shape: found nothing, expected a list of integers; "
            "inputs[0].data: found nothing, expected a list of values, or binary_data_size"
        ),
        INFER,
    ),
    Bad(
        "an unknown member",
        request(model="x"),
        "model: found an unknown member, expected inputs, outputs, id, parameters",
        INFER,
    ),
    Bad(
        "an unknown member of an input",
        tensors(stops={"contents": []}),
        f"inputs[6].contents: found an unknown member, expected {TENSOR}",
        INFER,
    ),
    Bad("an id that is a number", request(id=7), f"id: found 7, expected {ANY_TEXT}", INFER),
    Bad("parameters that are a list", request(parameters=[]), "parameters: found [], expected an object", INFER),
    Bad("outputs that are an object", request(outputs={}), 'outputs: found {}, expected a list of objects {"name": ...}', INFER),
    Bad(
        "an output that is not there",
        request(outputs=[{"name": "label"}]),
        "outputs[0].name: found 'label', expected one of ['score', 'unknown_categories']",
        INFER,
    ),
    Bad(
        "an output twice",
        request(outputs=[{"name": "score"}, {"name": "score"}]),
        "outputs[1].name: found 'score' again, expected each output once",
        INFER,
    ),
    Bad("an output without a name", request(outputs=[{}]), 'outputs[0]: found {}, expected an object {"name": ...}', INFER),
    Bad(
        "a classification",
        request(outputs=[{"name": "score", "parameters": {"classification": 2}}]),
        f"outputs[0].parameters.classification: found 2, expected {UNSUPPORTED}",
        INFER,
    ),
    Bad(
        "shared memory",
        tensors(stops={"parameters": {"shared_memory_region": "r"}}),
        f"inputs[6].parameters.shared_memory_region: found 'r', expected {UNSUPPORTED}",
        INFER,
    ),
    Bad(
        "a flag that is none",
        request(parameters={"binary_data_output": "yes"}),
        f"parameters.binary_data_output: found 'yes', expected {BOOLEAN}",
        INFER,
    ),
    Bad(
        "an input that is no field",
        tensors(weight_kg={"name": "colour"}),
        (
            f"inputs[4].name: found 'colour', expected one of {NAMES}; "
            f"inputs: found no input 'weight_kg', expected weight_kg: {KG}"
        ),
        INFER,
    ),
    Bad(
        "an input twice",
        tensors(distance_km={"name": "weight_kg"}),
        "inputs[5].name: found 'weight_kg' again, expected each input once",
        INFER,
    ),
    Bad("an input that is missing", tensors(depot=None), f"inputs: found no input 'depot', expected depot: {DEPOT}", INFER),
    Bad(
        "a datatype of another type",
        tensors(weight_kg={"datatype": "BYTES", "data": ["12"]}),
        f"inputs[4].datatype: found 'BYTES', expected {NUMBERS} for 'weight_kg'",
        INFER,
    ),
    Bad(
        "a datatype that is none",
        tensors(weight_kg={"datatype": "FP8"}),
        f"inputs[4].datatype: found 'FP8', expected {NUMBERS} for 'weight_kg'",
        INFER,
    ),
    Bad(
        "an integer of a float's datatype",
        tensors(stops={"datatype": "FP64"}),
        f"inputs[6].datatype: found 'FP64', expected {INTEGERS} for 'stops'",
        INFER,
    ),
    Bad(
        "no rows",
        tensors(parcel_id={"shape": [0], "data": []}),
        "inputs[0].shape: found 0 rows, expected 1 to 10000 rows",
        INFER,
    ),
    Bad(
        "fewer than no rows",
        tensors(parcel_id={"shape": [-1]}),
        "inputs[0].shape: found -1 rows, expected 1 to 10000 rows",
        INFER,
    ),
    Bad(
        "too many rows",
        tensors(parcel_id={"shape": [10_001]}),
        "inputs[0].shape: found 10001 rows, expected 1 to 10000 rows",
        INFER,
    ),
    Bad("no shape", tensors(parcel_id={"shape": []}), "inputs[0].shape: found 0 rows, expected 1 to 10000 rows", INFER),
    Bad("a shape of text", tensors(stops={"shape": ["1"]}), "inputs[6].shape: found ['1'], expected a list of integers", INFER),
    Bad("a shape of other rows", tensors(stops={"shape": [2]}), "inputs[6].shape: found [2], expected [1] or [1, 1]", INFER),
    Bad(
        "a shape of two columns",
        tensors(stops={"shape": [1, 2]}),
        "inputs[6].shape: found [1, 2], expected [1] or [1, 1]",
        INFER,
    ),
    Bad(
        "more values than rows",
        tensors(stops={"data": [1, 2]}),
        "inputs[6].data: found 2 values, expected 1, as its shape says",
        INFER,
    ),
    Bad(
        "fewer values than rows",
        tensors(stops={"data": []}),
        "inputs[6].data: found 0 values, expected 1, as its shape says",
        INFER,
    ),
    Bad("data that are a number", tensors(stops={"data": 3}), "inputs[6].data: found 3, expected a flat list of values", INFER),
    Bad(
        "data that are nested too deep",
        tensors(stops={"data": [[3]]}),
        f"inputs[6].data[0]: found [3], expected {STOPS}",
        INFER,
    ),
    Bad(
        "a literal NaN",
        tensors_body(parcel()).replace(b"[12.5]", b"[NaN]"),
        f"body: found {MALFORMED}invalid character (byte 348), expected JSON",
        INFER,
    ),
    Bad(
        "a number beyond all",
        tensors_body(parcel()).replace(b"[12.5]", b"[1e999]"),
        f"inputs[4].data[0]: found inf, expected {KG}",
        INFER,
    ),
    Bad("a number in a string", tensors(weight_kg={"data": ["12.5"]}), f"inputs[4].data[0]: found '12.5', expected {KG}", INFER),
    Bad(
        "a number that FP16 cannot hold",
        tensors(distance_km={"datatype": "FP16", "data": [65_520]}),
        "inputs[5].data[0]: found 65520, expected a value of FP16",
        INFER,
    ),
    Bad(
        "a number that FP32 cannot hold",
        tensors(distance_km={"datatype": "FP32", "data": [1e39]}),
        "inputs[5].data[0]: found 1e+39, expected a value of FP32",
        INFER,
    ),
    Bad(
        "a number that rounding moves out of its range",
        tensors(weight_kg={"datatype": "FP32", "data": [-1e-40]}),
        f"inputs[4].data[0]: found -9.99994610111476e-41, expected {KG}",
        INFER,
    ),
    Bad(
        "an integer that INT8 cannot hold",
        tensors(distance_km={"datatype": "INT8", "data": [128]}),
        "inputs[5].data[0]: found 128, expected a value of INT8",
        INFER,
    ),
    Bad(
        "a fraction of an integer's datatype",
        tensors(distance_km={"datatype": "INT32", "data": [1.5]}),
        "inputs[5].data[0]: found 1.5, expected a value of INT32",
        INFER,
    ),
    Bad(
        "a negative number without sign",
        tensors(stops={"datatype": "UINT8", "data": [-1]}),
        "inputs[6].data[0]: found -1, expected a value of UINT8",
        INFER,
    ),
    Bad(
        "a time that UTC has no year for",
        tensors(sent_at={"data": ["9999-12-31T23:59:59-01:00"]}),
        f"inputs[1].data[0]: found '9999-12-31T23:59:59-01:00', expected {TIME}",
        INFER,
    ),
    Bad("a null where none may be", tensors(weight_kg={"data": [None]}), f"inputs[4].data[0]: found null, expected {KG}", INFER),
    Bad(
        "a member twice",
        tensors_body(parcel()).replace(b'"data":[3]', b'"data":[3],"data":[4]'),
        f"inputs[6].data: {ONCE}",
        INFER,
    ),
    Bad(
        "all its problems",
        tensors(parcel(), parcel(), weight_kg={"data": [-1, "2"]}, depot={"data": ["north", "west"]}, stops={"shape": [3]}),
        (
            f"inputs[2].data[1]: found 'west', expected {DEPOT}; "
            f"inputs[4].data[0]: found -1, expected {KG}; "
            f"inputs[4].data[1]: found '2', expected {KG}; "
            "inputs[6].shape: found [3], expected [2] or [2, 1]"
        ),
        INFER,
    ),
    Bad(
        "another version",
        tensors_body(parcel()),
        "There is no version '9'. 'late_parcel' is served in version 'late_parcel-1.0.0'.",
        INFER.replace("/infer", "/versions/9/infer"),
        404,
    ),
    Bad(
        "plain text",
        tensors_body(parcel()),
        "The content-type is 'text/plain', expected application/json or application/octet-stream.",
        INFER,
        415,
        {"content-type": "text/plain"},
    ),
    Bad(
        "too many bytes",
        b" " * 10_000_001,
        "The body is larger than the 10,000,000 bytes that one request may have: send fewer rows at once.",
        INFER,
        413,
    ),
]
