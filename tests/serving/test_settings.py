"""The settings of a server: by option, by environment, refused in words, and all of them in the operator's page."""

from dataclasses import fields
from pathlib import Path

import httpx
import pytest
from cyclopts import Parameter

from lake.errors import SettingError
from lake.home import Home
from lake.interface.settings import ServerSettings
from tests.commands import running
from tests.scenario import USE_CASE
from tests.served import PREDICT


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("workers", 0),
        ("workers", 65),
        ("maximum_bytes", 0),
        ("maximum_in_flight", 0),
        ("read_timeout_s", 0),
        ("keep_alive_s", -1),
        ("drain_s", float("inf")),
        ("drain_delay_s", float("nan")),
        ("unix_socket_mode", "888"),
        ("unix_socket_mode", "1777"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(setting: str, value: float | str) -> None:
    with pytest.raises(SettingError, match=f"{setting} is "):
        ServerSettings(**{setting: value}).check()  # type: ignore[arg-type]


def test_the_settings_can_be_given_by_the_environment(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    environment = {"TRAINSERVE_ACCESS_LOG": str(path), "TRAINSERVE_MAXIMUM_BYTES": "5"}
    with running(home, "predictor", USE_CASE, environment=environment) as server:
        assert httpx.post(server.url + PREDICT, content=b"123456", trust_env=False).status_code == 413
        assert server.stop() == 0

    assert '"status":413' in path.read_text()


def test_an_option_of_one_command_names_what_is_wrong_with_it(home: Home) -> None:
    with (
        pytest.raises(AssertionError, match="workers is 0, expected 1 to 64"),
        running(home, "predictor", USE_CASE, "--workers", "0"),
    ):
        pass


def test_the_operators_page_names_every_setting() -> None:
    page = Path("docs/serving.md").read_text()

    for field in fields(ServerSettings):
        assert f"`--{field.name.replace('_', '-')}`" in page
        for parameter in getattr(field.type, "__metadata__", ()):
            assert isinstance(parameter, Parameter)
            assert all(f"`{variable}`" in page for variable in parameter.env_var or ())
