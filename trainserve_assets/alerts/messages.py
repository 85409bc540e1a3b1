"""What a notice says: the facts of it, as JSON of our own, in Slack's format, and as an e-mail."""

from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

import msgspec

from checks.alerts import Severity
from lake.documents import Document
from lake.times import utc
from trainserve_assets.alerts.book import Notice
from trainserve_assets.alerts.playbook import section_of

_SLACK_LIMIT = 2_900
_SIGNS = {"opened": "began", "worse": "is worse", "still open": "is still open", "resolved": "is resolved", "test": "is a test"}


class Message(Document, frozen=True, kw_only=True):
    """A notice as receivers get it. `id` names it, so that one that comes twice is known; `alert_id` names the alert.

    `about` is the arm that it is about, or else what the check calls it; `since_utc` is the first evaluation that failed.
    """

    id: str
    alert_id: str
    kind: str
    use_case: str
    asset: str
    check: str
    about: str
    severity: Severity
    seen: str
    expected: str
    observed: float | None
    limit: float | None
    rows: int | None
    since_utc: str
    at_utc: str
    remedy: str
    playbook: str
    format_version: int = 1

    @property
    def title(self) -> str:
        """The whole in one line."""
        about = f" on {self.about}" if self.about else ""
        return _one_line(f"[{self.severity}] {self.use_case}: {self.check}{about} {_SIGNS[self.kind]}")


def message_of(notice: Notice, playbook: str, gates: frozenset[str] = frozenset()) -> Message:
    """What the receiver of a notice is told; `gates` are the checks that the use case names itself."""
    statement = notice.alert.statement
    return Message(
        id=notice.id,
        alert_id=notice.alert.id,
        kind=notice.kind,
        use_case=statement.use_case,
        asset=statement.asset,
        check=statement.check,
        about=statement.about,
        severity=statement.severity,
        seen=statement.seen,
        expected=statement.expected,
        observed=statement.observed,
        limit=statement.limit,
        rows=statement.rows,
        since_utc=notice.alert.since_utc,
        at_utc=statement.at_utc,
        remedy=statement.remedy or ("nothing" if statement.passed else "see the playbook"),
        playbook=f"{playbook}#{section_of(statement.check, gates)}",
    )


def as_json(message: Message) -> bytes:
    """JSON of our own."""
    return msgspec.json.encode(message)


def as_slack(message: Message) -> bytes:
    """The format of Slack's incoming webhooks: a text for the notification, and blocks for the channel."""
    facts = "\n".join(f"*{name}*: {_slack(value)}" for name, value in _facts(message).items() if name != "What was seen")
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": message.title[:150]}},
        {"type": "section", "text": {"type": "mrkdwn", "text": _slack(message.seen)[:_SLACK_LIMIT] or "-"}},
        {"type": "section", "text": {"type": "mrkdwn", "text": facts[:_SLACK_LIMIT]}},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": f"notice {message.id}"}]},
    ]
    return msgspec.json.encode({"text": _slack(message.title), "blocks": blocks})


def as_mail(message: Message, sender: str, to: tuple[str, ...]) -> EmailMessage:
    """An e-mail; all of one alert are one thread, and a repeated one has the same Message-ID."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, ", ".join(to), message.title
    mail["Date"] = format_datetime(utc(message.at_utc))
    domain = sender.rpartition("@")[2]
    mail["Message-ID"] = f"<{message.id}@{domain}>"
    mail["References"] = f"<{message.alert_id}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content("\n".join(f"{name}: {value}" for name, value in _facts(message).items()) + f"\n\nnotice {message.id}\n")
    return mail


def _facts(message: Message) -> dict[str, str]:
    """What a person reads, in this order."""
    figures = {
        "Observed": None if message.observed is None else f"{message.observed:.6g}",
        "Limit": None if message.limit is None else f"{message.limit:.6g}",
        "Rows": None if message.rows is None else f"{message.rows:,}",
    }
    return {
        "What was seen": message.seen,
        "Expected": message.expected,
        **{name: value for name, value in figures.items() if value is not None},
        "Since": message.since_utc,
        "Seen at": message.at_utc,
        "Severity": message.severity,
        "Remedy": message.remedy,
        "Playbook": message.playbook,
        "Use case": message.use_case,
        "Check": f"{message.check} of {message.asset}",
        **({"About": message.about} if message.about else {}),
    }


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _slack(text: str) -> str:
    """Text in which nothing is a link or a mention."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
