"""The replay: history sent through the proxy in event order, as a client would, and each label when it became known."""

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec
import polars as pl
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import RequestError

from lake.decoder import epoch_us
from lake.errors import TrainServeError, Unavailable
from lake.interface.messages import PredictResponse
from trainserve_assets.demo.record import Answered, ClientRecord, Labelled, Replayed, Sent
from trainserve_assets.use_case import UseCase

IN_FLIGHT = 16
LABELS_TOGETHER = 500
_TIMEOUT = timedelta(seconds=10)
_GIVE_UP_AFTER_S = 60.0
_PAUSE_S = 0.2
_OK = 200
_ACCEPTED = 202
_TRY_AGAIN = {502, 503, 504}


class Example(msgspec.Struct, frozen=True):
    """One row of history: its key, its features, and its label with the time when that became known."""

    key: str
    event_time_us: int
    record: dict[str, Any]
    label: float | str | None
    labelled_at_us: int | None


class UnexpectedAnswer(TrainServeError):
    """The proxy answered with something that a correct client never gets."""

    def __init__(self, path: str, status: int, body: bytes) -> None:
        super().__init__(f"POST {path} answered {status}: {body[:500].decode(errors='replace')}")


def read_examples(use_case: UseCase, history: pl.LazyFrame, start: str, end: str) -> list[Example]:
    """The rows of history whose event is on the days [start, end), in event order."""
    time_column = str(use_case.input_schema.event_time)
    day = pl.col(time_column).dt.date()
    rows = (
        history.filter(day >= pl.lit(start).str.to_date(), day < pl.lit(end).str.to_date())
        .sort(time_column, *use_case.input_schema.entity_key)
        .collect()
    )
    names = use_case.input_schema.names
    return [
        Example(
            key=f"{index}",
            event_time_us=epoch_us(row[time_column]),
            record={name: row[name] for name in names},
            label=row["label"],
            labelled_at_us=None if row["labelled_at_utc"] is None else epoch_us(row["labelled_at_utc"]),
        )
        for index, row in enumerate(rows.iter_rows(named=True))
    ]


class Replay:
    """Sends what its record does not show answered, and labels what it does not show labelled."""

    def __init__(self, use_case: UseCase, proxy_url: str, record: ClientRecord, on_progress: Callable[[int], None]) -> None:
        self._base = f"{proxy_url}/models/{use_case.name}"
        self._record = record
        self._on_progress = on_progress
        self._slots = asyncio.Semaphore(IN_FLIGHT)
        self._client: Client

    async def run(self, examples: list[Example]) -> None:
        """Play the examples. Raises Unavailable when the proxy stays away, UnexpectedAnswer when it refuses."""
        started = time.perf_counter()
        answers_before = len(self._record.answers)
        async with ClientBuilder().no_proxy().http1_only().build() as self._client, asyncio.TaskGroup() as tasks:
            in_flight: dict[str, asyncio.Task[None]] = {}
            due: list[Example] = []
            for example, is_label in _events(examples):
                if is_label:
                    due.append(example)
                    if len(due) == LABELS_TOGETHER:
                        await self._deliver(due, in_flight, tasks)
                        due = []
                elif example.key not in self._record.answers:
                    await self._slots.acquire()
                    task = in_flight[example.key] = tasks.create_task(self._predict(example))
                    task.add_done_callback(partial(_forget, in_flight, example.key))
            await self._deliver(due, in_flight, tasks)
        answers = len(self._record.answers) - answers_before
        if answers:
            self._record.add(Replayed(time.perf_counter() - started, answers))

    async def _predict(self, example: Example) -> None:
        try:
            body = msgspec.json.encode({"records": [example.record], "id": example.key})
            answer, latency_us = await self._post("/predict", body, _OK, lambda: self._record.add(Sent(example.key)))
            response = msgspec.json.decode(answer, type=PredictResponse)
            self._record.add(Answered(example.key, response.provenance.request_id, latency_us))
            self._on_progress(1)
        finally:
            self._slots.release()

    async def _deliver(self, due: list[Example], in_flight: dict[str, asyncio.Task[None]], tasks: asyncio.TaskGroup) -> None:
        """Send the labels of these examples; a label whose answer is still on its way waits for it."""
        fresh = [example for example in due if example.key not in self._record.labelled]
        waited_for = [task for example in fresh if (task := in_flight.get(example.key))]
        if waited_for:
            await asyncio.wait(waited_for)
        if fresh:
            await self._slots.acquire()
            tasks.create_task(self._label(fresh))

    async def _label(self, examples: list[Example]) -> None:
        try:
            labels = [
                {"request_id": self._record.answers[example.key].request_id, "label": example.label} for example in examples
            ]
            await self._post("/labels", msgspec.json.encode({"labels": labels}), _ACCEPTED, lambda: None)
            for example in examples:
                self._record.add(Labelled(example.key))
        finally:
            self._slots.release()

    async def _post(self, path: str, body: bytes, expected: int, before_each_try: Callable[[], None]) -> tuple[bytes, int]:
        """The body of the answer, and how many microseconds the try took that brought it."""
        give_up_at = time.monotonic() + _GIVE_UP_AFTER_S
        url = self._base + path
        while True:
            before_each_try()
            started = time.perf_counter()
            try:
                request = self._client.post(url).header("content-type", "application/json").body_bytes(body).timeout(_TIMEOUT)
                response = await request.build().send()
                answer = bytes(await response.bytes())
            except RequestError as error:
                why = str(error)
            else:
                if response.status == expected:
                    return answer, int((time.perf_counter() - started) * 1_000_000)
                if response.status not in _TRY_AGAIN:
                    raise UnexpectedAnswer(path, response.status, answer)
                why = answer.decode(errors="replace")
            if time.monotonic() > give_up_at:
                raise Unavailable("the proxy", f"{url} gave no answer for {_GIVE_UP_AFTER_S:g} s, at last: {why[:500]}")
            await asyncio.sleep(_PAUSE_S)


def _forget(in_flight: dict[str, asyncio.Task[None]], key: str, _done: asyncio.Task[None]) -> None:
    in_flight.pop(key, None)


def _events(examples: list[Example]) -> Iterator[tuple[Example, bool]]:
    """Requests and labels in the order of their times; a label never before its own request."""
    requests = [(example.event_time_us, False, example) for example in examples]
    labels = [
        (max(example.labelled_at_us, example.event_time_us), True, example)
        for example in examples
        if example.labelled_at_us is not None and example.label is not None
    ]
    for _, is_label, example in sorted([*requests, *labels], key=lambda event: event[:2]):
        yield example, is_label
