"""The program that atheris drives: `python -m tests.fuzz <home> <counts> <libFuzzer's arguments>`.

It makes bodies, right ones changed a little and bytes as they come, asks a predictor, and stops at the first that ends in a
5xx, is answered although the oracle says that it is no request, or refused although it is one.
"""

import asyncio
import json
import random
import struct
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["lake", "serving"]):
    from lake.home import Home
    from lake.interface.bodies import Question
    from lake.interface.messages import InterfaceName
    from lake.interface.problems import problem_document
    from serving.follower import Follower
    from serving.metrics import Metrics
    from serving.prediction import Predictor

from tests.fuzz.oracle import records_are_valid, tensors_are_valid
from tests.protocol import binary_body
from tests.scenario import USE_CASE, parcel, records_body, tensors_body
from tests.served import varied

_ODD: list[Any] = [
    None, True, False, 0, 1, -1, 2, 50, 51, 2**31, 2**53 + 1, 2**63, 2**64, 10**30, 0.5, -0.0, 1e308, 5e-324, 65_520, 3.5e38,
    "", "1", "north", "west", "van", "x" * 256, "x" * 257, "\x00", "\u00fc", "\U0001f4e6", "NaN", "true", [], {}, [1], {"a": 1},
    "2013-07-01T09:30:00Z", "0001-01-01T00:00:00+00:01", "2013-07-01T09:30:00", "2016-12-31T23:59:60Z", "score", "label",
    *("FP64", "FP32", "FP16", "INT64", "INT8", "UINT64", "UINT8", "BOOL", "BYTES"),
    *("binary_data_size", "binary_data_output", "binary_data", "classification", "shape", "data", "records", "inputs", "id"),
]  # fmt: skip
_SPELLINGS = [
    (b":", b" :"), (b",", b" , "), (b"3", b"3.0"), (b"3", b"3e0"), (b"1", b"01"), (b"e", b"\\u0065"), (b"0", b"-0"),
    (b'"', b"\\u0022"), (b"null", b"NaN"), (b"40.25", b"1e999"), (b"north", b"\\ud800"), (b"}", b",}"), (b"van", b"v\xffn"),
    (b'"stops":', b'"stops":1,"stops":'), (b"true", b"True"), (b"Z", b"+02:00"), (b"T", b" "), (b":00Z", b":00.1234567Z"),
]  # fmt: skip


class Bodies:
    """Makes a body of the bytes that libFuzzer gives: they seed what is changed, or are the body."""

    def __init__(self) -> None:
        rows = [parcel(), *varied(6)]
        whole = [row for row in rows if None not in row.values()]
        self._records = [records_body(parcel()), records_body(*rows, id="mine")]
        self._tensors = [tensors_body(parcel()), tensors_body(*rows, outputs=[{"name": "score"}])]
        self._binary = [binary_body(parcel()), binary_body(*whole, parameters={"binary_data_output": True})]

    def made_of(self, data: bytes) -> tuple[InterfaceName, bytes, int | None]:
        """A body, its interface, and where its JSON ends."""
        chance = random.Random(data)  # noqa: S311 - the same bytes have to make the same body
        kind = data[0] % 4 if data else 0
        if kind == 0:
            return chance.choice(("predict", "infer")), data[1:], None
        if kind == 1:
            return "predict", self._changed(chance, chance.choice(self._records)), None
        if kind == 2:
            return "infer", self._changed(chance, chance.choice(self._tensors)), None
        body, headers = chance.choice(self._binary)
        length = int(headers["inference-header-content-length"])
        text, rest = body[:length], bytearray(body[length:])
        if chance.random() < 0.5:
            text = self._changed(chance, text)
        for _ in range(chance.choice((0, 0, 1, 2))):
            at = chance.randrange(len(rest))
            rest[at : at + chance.choice((1, 4, 8))] = chance.choice((b"", b"\xff", b"\0\0\0\0", struct.pack("<d", float("nan"))))
        return "infer", text + bytes(rest), max(0, len(text) + chance.choice((0, 0, 0, 0, 0, 0, 1, -1)))

    def _changed(self, chance: random.Random, text: bytes) -> bytes:
        document = json.loads(text)
        for _ in range(chance.choice((0, 1, 1, 2, 3))):
            _change(chance, document)
        text = json.dumps(document, separators=(",", ":"), ensure_ascii=chance.random() < 0.5).encode()
        for _ in range(chance.choice((0, 0, 1, 2))):
            old, new = chance.choice(_SPELLINGS)
            parts = text.split(old)
            if len(parts) > 1:
                at = chance.randrange(1, len(parts))
                text = old.join(parts[:at]) + new + old.join(parts[at:])
        return text


def _change(chance: random.Random, document: Any) -> None:
    """Change one place of a JSON document."""
    holders = [document]
    for holder in holders:
        holders.extend(
            value
            for value in (holder.values() if isinstance(holder, dict) else holder)
            if isinstance(value, dict | list) and value
        )
    holder = chance.choice(holders)
    places = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
    if not places:
        return
    place, odd = chance.choice(places), deepcopy(chance.choice(_ODD))
    match chance.choice(("replace", "replace", "replace", "remove", "add", "repeat")):
        case "replace":
            holder[place] = odd
        case "remove":
            del holder[place]
        case "add" if isinstance(holder, dict):
            holder[odd if isinstance(odd, str) else str(odd)] = deepcopy(chance.choice(_ODD))
        case _ if isinstance(holder, list):
            holder.insert(place, deepcopy(holder[place]))


class Target:
    """Asks the predictor, and holds its answers against the oracle."""

    def __init__(self, home: Home, counts: Path) -> None:
        follower = Follower(home, USE_CASE, "champion")
        follower.look()
        self._predictor = Predictor(follower, Metrics(USE_CASE, "champion"))
        self._loop = asyncio.new_event_loop()
        self._bodies = Bodies()
        self._counts = counts
        self.by_status: dict[int, int] = {}

    def __call__(self, data: bytes) -> None:
        """One body."""
        interface, body, json_length = self._bodies.made_of(data)
        status = self._status(interface, body, None if json_length is None else str(json_length))
        valid = records_are_valid(body) if interface == "predict" else tensors_are_valid(body, json_length)
        if status != (200 if valid else 400):
            raise AssertionError(f"{interface} answered {status}, valid is {valid}, JSON ends at {json_length}: {body!r}")
        self.by_status[status] = self.by_status.get(status, 0) + 1
        if sum(self.by_status.values()) % 1_000 == 0:
            self._counts.write_text(json.dumps(self.by_status))

    def _status(self, interface: InterfaceName, body: bytes, json_length: str | None) -> int:
        try:
            question = Question(interface=interface, name=USE_CASE, body=body, json_length=json_length)
            self._loop.run_until_complete(self._predictor.answer(question, "r"))
        except Exception as error:  # noqa: BLE001 - as at the edge of the server: what nobody foresaw is a 500
            return problem_document(error).status
        return 200


atheris.Setup([sys.argv[0], *sys.argv[3:]], Target(Home.at(Path(sys.argv[1])), Path(sys.argv[2])))
atheris.Fuzz()
