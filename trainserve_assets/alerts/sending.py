"""Sending one message to one receiver: a webhook, Slack, or a mail server. Each attempt ends within the receiver's time."""

import smtplib
import ssl
from datetime import timedelta
from http import HTTPStatus
from urllib.parse import urlsplit

from lake.errors import TrainServeError
from trainserve_assets.alerts.messages import Message, as_json, as_mail, as_slack
from trainserve_assets.alerts.receivers import AnyReceiver, Mail, Slack, Webhook

ID_HEADER = "Idempotency-Key"


class NotDelivered(TrainServeError):
    """A receiver did not take a message. `is_down` says that it could not be reached, so that others would fare alike."""

    def __init__(self, receiver: str, why: str, *, is_down: bool) -> None:
        self.why, self.is_down = why, is_down
        super().__init__(f"Receiver {receiver!r} did not take it: {why}")


def send(receiver: AnyReceiver, message: Message) -> str:
    """Deliver it; returns for whom it could not be delivered, where that is a part of them. Raises NotDelivered."""
    match receiver:
        case Webhook():
            _post(receiver, receiver.url, {**receiver.headers, ID_HEADER: message.id}, as_json(message))
            return ""
        case Slack():
            _post(receiver, receiver.url, {}, as_slack(message))
            return ""
        case Mail():
            return _mail(receiver, message)


def _post(receiver: AnyReceiver, url: str, headers: dict[str, str], body: bytes) -> None:
    """No address is told in what went wrong: who knows Slack's may write there."""
    from pyreqwest.client import SyncClientBuilder
    from pyreqwest.exceptions import BuilderError, PyreqwestError

    host = urlsplit(url).hostname
    try:
        with SyncClientBuilder().max_redirects(0).timeout(timedelta(seconds=receiver.timeout_s)).build() as client:
            asked = client.post(url).headers({**headers, "content-type": "application/json"}).body_bytes(body)
            status = asked.build().send().status
    except (BuilderError, ValueError) as error:
        raise NotDelivered(
            receiver.name, f"its address or a header cannot be used ({type(error).__name__})", is_down=False
        ) from error
    except PyreqwestError as error:
        raise NotDelivered(receiver.name, f"{host} cannot be reached ({type(error).__name__})", is_down=True) from error
    if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        raise NotDelivered(receiver.name, f"{host} answered with status {status}", is_down=False)


def _mail(receiver: Mail, message: Message) -> str:
    mail = as_mail(message, receiver.sender, receiver.to)
    try:
        with _connected(receiver) as server:
            if receiver.user:
                server.login(receiver.user, receiver.password)
            refused = server.send_message(mail)
    except smtplib.SMTPResponseException as error:
        why = f"{receiver.host} answered {error.smtp_code} {_text(error.smtp_error)}"
        raise NotDelivered(receiver.name, why, is_down=False) from error
    except smtplib.SMTPRecipientsRefused as error:
        raise NotDelivered(receiver.name, f"{receiver.host} refused {', '.join(error.recipients)}", is_down=False) from error
    except OSError as error:
        raise NotDelivered(receiver.name, f"{receiver.host} cannot be reached ({error})", is_down=True) from error
    return f"refused: {', '.join(refused)}" if refused else ""


def _connected(receiver: Mail) -> smtplib.SMTP:
    if receiver.security == "tls":
        return smtplib.SMTP_SSL(receiver.host, receiver.port, timeout=receiver.timeout_s, context=ssl.create_default_context())
    server = smtplib.SMTP(receiver.host, receiver.port, timeout=receiver.timeout_s)
    if receiver.security == "starttls":
        try:
            server.starttls(context=ssl.create_default_context())
        except OSError:
            server.close()
            raise
    return server


def _text(words: bytes | str) -> str:
    return words.decode(errors="replace") if isinstance(words, bytes) else words
