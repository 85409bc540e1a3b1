"""Somebody else's client of the Open Inference Protocol, over HTTP, at the predictor and at the proxy."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from lake.home import Home
from proxy.app import create_app as create_proxy
from serving.app import create_app
from tests.proxied import parameters
from tests.scenario import USE_CASE, parcel
from tests.served import Approver, listening, toy, varied

ROWS = varied(12)
VERSION = f"{USE_CASE}-1.0.0"
_KINDS: dict[str, type] = {"FP64": np.float64, "INT64": np.int64, "BOOL": np.bool_, "BYTES": np.object_}


@pytest.fixture(scope="module", params=["predictor", "proxy"])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[triton.InferenceServerClient]:
    """The client of a server with a released toy."""
    home = Home.at(tmp_path_factory.mktemp(request.param))
    Approver(home).release(toy())
    with listening(create_app(home, USE_CASE, "champion")) as predictor:
        if request.param == "predictor":
            with triton.InferenceServerClient(predictor.removeprefix("http://")) as client:
                yield client
            return
        proxy = create_proxy(home, {USE_CASE: parameters({"champion": predictor})})
        with listening(proxy) as url, triton.InferenceServerClient(url.removeprefix("http://")) as client:
            yield client


def inputs(client: triton.InferenceServerClient, rows: Sequence[dict[str, Any]], *, binary: bool) -> list[triton.InferInput]:
    """The rows as tensors, built from what the server says of its model; arrays have no null, so no row has one."""
    made = []
    for tensor in client.get_model_metadata(USE_CASE)["inputs"]:
        values: npt.NDArray[Any] = np.array([row[tensor["name"]] for row in rows], dtype=_KINDS[tensor["datatype"]])
        one = triton.InferInput(tensor["name"], values.shape, tensor["datatype"])
        one.set_data_from_numpy(values, binary_data=binary)
        made.append(one)
    return made


def whole(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if None not in row.values()]


def test_the_server_and_its_model_are_live_and_ready(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(USE_CASE)
    assert client.is_model_ready(USE_CASE, VERSION)
    assert not client.is_model_ready(USE_CASE, "9")
    assert not client.is_model_ready("other")


def test_server_and_model_describe_themselves(client: triton.InferenceServerClient) -> None:
    server, model = client.get_server_metadata(), client.get_model_metadata(USE_CASE, VERSION)

    assert server["name"].startswith("trainserve-")
    assert "binary_tensor_data" in server["extensions"]
    assert (model["name"], model["versions"], model["platform"]) == (USE_CASE, [VERSION], "lignum")
    assert [one["name"] for one in model["outputs"]] == ["score", "unknown_categories"]


@pytest.mark.parametrize("sent", ["bytes", "json"])
@pytest.mark.parametrize("wanted", ["bytes", "json", "all"])
def test_rows_get_the_trained_models_bits(client: triton.InferenceServerClient, sent: str, wanted: str) -> None:
    rows = whole(ROWS)
    outputs = None
    if wanted != "all":
        outputs = [triton.InferRequestedOutput(name, binary_data=wanted == "bytes") for name in ("score", "unknown_categories")]

    result = client.infer(
        USE_CASE,
        inputs(client, rows, binary=sent == "bytes"),
        outputs=outputs,
        request_id="mine",
        priority=3,
        parameters={"a": 1},
    )

    assert result.as_numpy("score").tolist() == [toy().score(row) for row in rows]
    unknown = [value if isinstance(value, str) else value.decode() for value in result.as_numpy("unknown_categories").tolist()]
    assert unknown == ["carrier" if row["carrier"] == "drone" else "" for row in rows]
    answer = result.get_response()
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("mine", USE_CASE, VERSION)
    assert answer["parameters"]["package_digest"]


def test_one_output_alone_of_one_version(client: triton.InferenceServerClient) -> None:
    made = inputs(client, [parcel(carrier="drone")], binary=True)
    only = [triton.InferRequestedOutput("unknown_categories")]

    result = client.infer(USE_CASE, made, model_version=VERSION, outputs=only)

    assert result.as_numpy("unknown_categories").tolist() == [b"carrier"]
    assert result.as_numpy("score") is None


def test_a_refusal_is_told_in_the_servers_words(client: triton.InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match=r"inputs\[4\].data\[0\]: found nan, expected a number within") as refused:
        client.infer(USE_CASE, inputs(client, [parcel(weight_kg=float("nan"))], binary=True))
    assert refused.value.status() == "400"
    with pytest.raises(InferenceServerException, match="There is no version '9'"):
        client.infer(USE_CASE, inputs(client, [parcel()], binary=True), model_version="9")
    with pytest.raises(InferenceServerException, match="The content-encoding is 'gzip', expected none"):
        client.infer(USE_CASE, inputs(client, [parcel()], binary=True), request_compression_algorithm="gzip")
