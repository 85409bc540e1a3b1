"""An address is taken early, and one that is in use is refused in words."""

import socket

import pytest

from lake.errors import SettingError
from lake.listener import bind


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_free_address_is_taken_and_can_be_handed_to_a_child(host: str) -> None:
    with bind(host, 0, "the proxy") as listener:
        assert listener.getsockname()[0] == host
        assert listener.getsockname()[1] > 0
        assert listener.get_inheritable()


def test_an_address_in_use_is_named_with_what_wanted_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SettingError, match=f"the address of the proxy is '127.0.0.1:{port}', expected one that is free"):
            bind("127.0.0.1", port, "the proxy")


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(SettingError, match="the address of the proxy"):
        bind("192.0.2.1", 0, "the proxy")
