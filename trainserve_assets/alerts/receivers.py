"""Who is told of alerts: the receivers that `alerts.yaml` in the home names, with the secrets that it takes to reach them."""

from datetime import timedelta
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from checks.alerts import SEVERITIES, Severity, Statement, Telling
from lake.documents import StrictDocument
from lake.errors import SettingError
from lake.misread import misread

Security = Literal["none", "starttls", "tls"]
_HIGHEST_PORT = 65_535
_LONGEST_TIMEOUT_S = 30.0  # a tick of a sensor is cut off after a minute, and begins none of its attempts in the second half


class Receiver(StrictDocument, frozen=True, kw_only=True, tag_field="kind"):
    """What all receivers have: a name, what they want to hear of, and how long they may take to answer.

    Without `use_cases` it hears of all. `least` is the least severity that it hears of.
    """

    name: str
    use_cases: tuple[str, ...] = ()
    least: Severity = "warning"
    timeout_s: float = 5.0

    def wants(self, statement: Statement) -> bool:
        """Whether this receiver is to hear of it."""
        loud = SEVERITIES.index(statement.severity) >= SEVERITIES.index(self.least)
        return loud and (not self.use_cases or statement.use_case in self.use_cases)

    def check(self) -> None:
        """Raises SettingError for what cannot be a receiver."""
        if not self.name.isidentifier():
            raise SettingError("receivers.name", self.name, "letters, digits and _")
        if not 0 < self.timeout_s <= _LONGEST_TIMEOUT_S:
            expected = f"seconds, above 0 and at most {_LONGEST_TIMEOUT_S:g}"
            raise SettingError(f"receivers.{self.name}.timeout_s", self.timeout_s, expected)


class Webhook(Receiver, frozen=True, kw_only=True, tag="webhook"):
    """Gets each notice by POST, as JSON of our own; `headers` are sent along, as one with a token."""

    url: str
    headers: dict[str, str] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        self.check()
        _check_url(self.name, self.url)


class Slack(Receiver, frozen=True, kw_only=True, tag="slack"):
    """An incoming webhook of Slack, or of anything that takes its format."""

    url: str

    def __post_init__(self) -> None:
        self.check()
        _check_url(self.name, self.url)


class Mail(Receiver, frozen=True, kw_only=True, tag="mail"):
    """People who get each notice by e-mail, through the SMTP server `host`."""

    host: str
    sender: str
    to: tuple[str, ...]
    port: int = 587
    security: Security = "starttls"
    user: str = ""
    password: str = ""

    def __post_init__(self) -> None:
        self.check()
        if not self.to:
            raise SettingError(f"receivers.{self.name}.to", list(self.to), "one address or more")
        for address in (self.sender, *self.to):
            local, at, domain = address.rpartition("@")
            if not (local and at and domain) or not address.isprintable():
                raise SettingError(f"receivers.{self.name}, an address", address, "one as duty@example.org")
        if not 0 < self.port <= _HIGHEST_PORT:
            raise SettingError(f"receivers.{self.name}.port", self.port, f"1 to {_HIGHEST_PORT}")
        if self.security == "none" and self.password:
            raise SettingError(f"receivers.{self.name}.security", "none", "starttls or tls, where a password is sent")


AnyReceiver = Webhook | Slack | Mail


class AlertSettings(StrictDocument, frozen=True, kw_only=True):
    """The file as a whole.

    An alert that stays open is told again after `remind_hours`, and when what was seen is `worse_by` times as far from its
    limit as when it was last told. `playbook` is where docs/playbook.md is to be read: an address, or its path.
    """

    receivers: tuple[AnyReceiver, ...] = ()
    remind_hours: float = 24.0
    worse_by: float = 2.0
    playbook: str = "docs/playbook.md"
    format_version: int = 1

    def __post_init__(self) -> None:
        names = [one.name for one in self.receivers]
        for name in names:
            if names.count(name) > 1:
                raise SettingError("receivers.name", name, "each name once")
        if self.remind_hours <= 0:
            raise SettingError("remind_hours", self.remind_hours, "hours, above 0")
        if self.worse_by <= 1:
            raise SettingError("worse_by", self.worse_by, "a number above 1")

    @property
    def telling(self) -> Telling:
        """When an open alert is told again."""
        return Telling(again_after=timedelta(hours=self.remind_hours), worse_by=self.worse_by)

    @classmethod
    def read(cls, path: Path) -> "AlertSettings":
        """What the file says; without one nobody is told. Raises SettingError, naming the setting."""
        if not path.exists():
            return cls()
        try:
            return msgspec.yaml.decode(path.read_bytes(), type=cls)
        except SettingError as error:
            raise SettingError(f"{path}: {error.setting}", error.found, error.expected) from error
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise SettingError(
                str(path), misread(error), "receivers, each with name and kind, as docs/alerts.md has them"
            ) from error


def _check_url(name: str, url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingError(f"receivers.{name}.url", url, "an address as https://host/path")
