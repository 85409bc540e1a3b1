"""Whatever bytes come, the predictor answers what is a request and refuses what is none: nothing breaks it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lake.home import Home
from tests.fuzz.oracle import records_are_valid, tensors_are_valid
from tests.scenario import parcel, records_body, tensors_body
from tests.served import INFER, Approver, toy
from tests.serving.bad import BAD_REQUESTS
from tests.serving.bad.parts import JSON_LENGTH


@pytest.mark.parametrize("seconds", [pytest.param(5), pytest.param(600, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_no_bytes_break_the_decoders_and_nothing_invalid_is_answered(home: Home, tmp_path: Path, seconds: int) -> None:
    Approver(home).release(toy())
    counts, corpus = tmp_path / "counts.json", tmp_path / "corpus"
    corpus.mkdir()
    for number, bad in enumerate(bad for bad in BAD_REQUESTS if len(bad.body) < 10_000):
        (corpus / str(number)).write_bytes(b"\0" + bad.body)
    command = [
        *(sys.executable, "-m", "tests.fuzz", str(home.root), str(counts)),
        *(f"-max_total_time={seconds}", "-max_len=4096", "-timeout=20", "-rss_limit_mb=4096", f"-artifact_prefix={tmp_path}/"),
        str(corpus),
    ]
    run = subprocess.run(command, env={**os.environ, "PYTHONPATH": "."}, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout[-3_000:] + run.stderr[-6_000:]
    assert re.search(r"Done \d+ runs in \d+ second", run.stderr), run.stderr[-3_000:]
    by_status = json.loads(counts.read_text())
    assert set(by_status) == {"200", "400"}
    assert min(by_status.values()) > 20 * seconds


def test_the_oracle_knows_the_corpus_of_bad_requests() -> None:
    for bad in BAD_REQUESTS:
        if bad.status != 400:
            continue
        if bad.path == INFER:
            length = bad.headers.get(JSON_LENGTH)
            assert not (length is None or length.isdigit()) or not tensors_are_valid(
                bad.body, None if length is None else int(length)
            )
        else:
            assert not records_are_valid(bad.body), bad.name


def test_the_oracle_knows_what_is_right() -> None:
    assert records_are_valid(records_body(parcel(), parcel(carrier=None)))
    assert tensors_are_valid(tensors_body(parcel(), parcel(carrier=None)))
