"""`alerts.yaml`: what is wrong in it is named, with what was found and what was expected."""

from typing import Any

import msgspec
import pytest

from lake.errors import SettingError
from lake.home import Home
from trainserve_assets.alerts.receivers import AlertSettings, Mail, Slack, Webhook

HOOK = {"kind": "webhook", "name": "duty", "url": "https://duty.example/hook"}
MAIL = {"kind": "mail", "name": "team", "host": "mail.example", "sender": "a@example.org", "to": ["b@example.org"]}


def read(home: Home, **settings: Any) -> AlertSettings:
    home.root.mkdir(exist_ok=True)
    home.alerts.write_bytes(msgspec.yaml.encode(settings))
    return AlertSettings.read(home.alerts)


def test_without_the_file_nobody_is_told(home: Home) -> None:
    assert AlertSettings.read(home.alerts).receivers == ()


def test_receivers_are_of_three_kinds(home: Home) -> None:
    slack = {"kind": "slack", "name": "channel", "url": "https://hooks.example/x", "least": "error", "use_cases": ["parcels"]}

    found = read(home, receivers=[HOOK, slack, MAIL], remind_hours=12)

    assert [type(one) for one in found.receivers] == [Webhook, Slack, Mail]
    assert found.telling.again_after.total_seconds() == 12 * 3600


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"receivers": [HOOK | {"url": "duty.example"}]}, "receivers.duty.url is 'duty.example', expected an address as https"),
        ({"receivers": [HOOK, HOOK]}, "receivers.name is 'duty', expected each name once"),
        ({"receivers": [HOOK | {"name": "on call"}]}, "receivers.name is 'on call'"),
        ({"receivers": [HOOK | {"timeout_s": 0}]}, "receivers.duty.timeout_s is 0"),
        ({"receivers": [HOOK | {"least": "loud"}]}, r"at receivers\[0\].least"),
        ({"receivers": [HOOK | {"adress": "x"}]}, "adress"),
        ({"receivers": [HOOK | {"kind": "pager"}]}, "pager"),
        ({"receivers": [MAIL | {"to": []}]}, "receivers.team.to is"),
        ({"receivers": [MAIL | {"to": ["b@example.org\nBcc: c@d"]}]}, "receivers.team, an address"),
        ({"receivers": [MAIL | {"port": 70_000}]}, "receivers.team.port is 70000"),
        ({"receivers": [MAIL | {"security": "none", "user": "a", "password": "b"}]}, "receivers.team.security is 'none'"),
        ({"remind_hours": 0}, "remind_hours is 0"),
        ({"worse_by": 1}, "worse_by is 1"),
    ],
)
def test_a_wrong_setting_is_named(home: Home, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match=words) as raised:
        read(home, **settings)
    assert str(home.alerts) in str(raised.value)
