"""Requests that schemathesis makes up from the OpenAPI document of a server, right ones and wrong ones."""

import os
import re
import subprocess
import sys
from pathlib import Path

# Not `positive_data_acceptance`: JSON Schema cannot say that a tensor has as many values as its shape, that inputs and
# members stand there once, and takes 40.0 for an integer. Rows that are right are answered: `test_bits` shows that.
_CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
)


def assert_keeps_its_document(url: str, folder: Path, *, examples: int, answered_within_s: float = 30.0) -> None:
    """No request, of `examples` for each operation beside those at the edges, meets a 5xx or what is not in the document.

    A request that is not answered within a time of its own is a finding that names it, however long all of them take together.
    """
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        f"{url}/schema/openapi.json",
        f"--checks={','.join(_CHECKS)}",
        "--phases=examples,coverage,fuzzing",
        f"--max-examples={examples}",
        f"--request-timeout={answered_within_s}",
        "--continue-on-failure",
        "--no-color",
    ]
    run = subprocess.run(command, cwd=folder, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-8_000:] + run.stderr[-2_000:]
    [(generated, passed)] = re.findall(r"(\d+) generated, (\d+) passed", run.stdout)
    assert int(generated) == int(passed) > 1_000
