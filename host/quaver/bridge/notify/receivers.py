"""How a message reaches its receiver: e-mail (RFC 5321), a webhook, an ntfy server. Each attempt has a time limit.

Secrets come from a private file, or from the environment variable QUAVER_NOTIFY_NAME of the table, and are in no line
that is said: what a server answers is told by its number alone where it may repeat them.
"""

from __future__ import annotations

import contextlib
import json
import os
import smtplib
import socket
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

from quaver.bridge.notify.message import Message
from quaver.bridge.notify.spec import Notify, Ntfy, Smtp, Webhook
from quaver.bridge.sink import SinkDown
from quaver.errors import BridgeError
from quaver.files.private import read_private
from quaver.messages.record import one_line

LIMIT_S = 20.0  # for a connection, and for each answer
_SECRET_MAX = 4096
_NTFY_TEXT_MAX = 3800  # bytes; beyond 4,096 an ntfy server makes a file of a message


class Receiver(Protocol):
    """where: for a line that a person reads, without secrets. `send` raises SinkDown where it was not taken.

    `send` returns a line on what was taken in part, or "".
    """

    where: str

    def send(self, message: Message) -> str: ...


def receiver_of(table: Notify, limit_s: float = LIMIT_S) -> Receiver:
    """Raises BridgeError for a secret that can't be used."""
    if table.smtp:
        return Mail(table.smtp, secret(table.name, table.smtp.login_file), limit_s)
    if table.webhook:
        return Hook(table.webhook, secret(table.name, table.webhook.secret_file), limit_s)
    assert table.ntfy is not None
    return Topic(table.ntfy, secret(table.name, table.ntfy.token_file), limit_s)


def variable(name: str) -> str:
    """The environment variable that may hold a table's secret."""
    return f"QUAVER_NOTIFY_{name.upper().replace('-', '_')}"


def secret(name: str, path: Path | None) -> str:
    """A table's secret, "" where it has none."""
    found = os.environ.get(variable(name), "").strip()
    if path is not None:
        data = read_private(path, _SECRET_MAX, BridgeError)
        if data is None:
            raise BridgeError(
                f"{path}: there is no such file; write the secret of notify {name} into it, and chmod 600"
            )
        found = data.decode(errors="replace").strip()
        if not found:
            raise BridgeError(f"{path}: is empty; write the secret of notify {name} into it")
    if not (found.isascii() and (found.isprintable())):
        raise BridgeError(f"the secret of notify {name} has other characters than ASCII's printable ones, or two lines")
    return found


class Mail:
    def __init__(self, spec: Smtp, login: str, limit_s: float) -> None:
        self._spec = spec
        self._limit_s = limit_s
        self._user, found, self._password = login.partition(":")
        if login and not found:
            raise BridgeError("a login for SMTP is user:password in a line; this one has no colon")
        if login and spec.tls == "none" and spec.host not in ("127.0.0.1", "localhost", "::1"):
            raise BridgeError('a login does not go over a network unencrypted: set smtp.tls to "starttls" or "tls"')
        self.where = f"smtp {spec.host}:{spec.port}"
        self._context: ssl.SSLContext | None = None
        if spec.tls != "none":
            try:
                self._context = ssl.create_default_context(cafile=spec.ca)
            except (OSError, ssl.SSLError) as error:
                raise BridgeError(f"{spec.ca}: is no certificate that can be read ({one_line(error)})") from error

    def send(self, message: Message) -> str:
        mail = EmailMessage(policy=SMTP_POLICY)
        mail["From"] = self._spec.sender
        mail["To"] = ", ".join(self._spec.to)
        mail["Subject"] = message.subject
        mail["Date"] = format_datetime(datetime.fromtimestamp(message.made_ms / 1000, UTC))
        mail["Message-ID"] = f"<{message.id}@quaver.invalid>"
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday answers it
        if message.urgent:
            mail["Importance"] = "high"
        mail.set_content(message.text)
        try:
            return self._deliver(mail)
        except smtplib.SMTPAuthenticationError as error:
            raise SinkDown(f"{self.where}: refuses user or password ({error.smtp_code}); check login_file") from error
        except smtplib.SMTPNotSupportedError as error:
            raise SinkDown(
                f"{self.where}: does not offer what is needed ({one_line(error)}); check smtp.tls"
            ) from error
        except smtplib.SMTPRecipientsRefused as error:
            codes = ", ".join(f"{one_line(to)} {code}" for to, (code, _) in error.recipients.items())
            raise SinkDown(f"{self.where}: refuses every address of `to` ({codes})") from error
        except smtplib.SMTPSenderRefused as error:
            raise SinkDown(f"{self.where}: refuses `from` ({error.smtp_code})") from error
        except smtplib.SMTPResponseException as error:
            raise SinkDown(f"{self.where}: answers with {error.smtp_code}") from error
        except (smtplib.SMTPException, OSError, UnicodeError) as error:
            raise SinkDown(f"{self.where}: {_why(error, self._limit_s)}") from error

    def _deliver(self, mail: EmailMessage) -> str:
        spec = self._spec
        if spec.tls == "tls":
            assert self._context is not None
            client: smtplib.SMTP = smtplib.SMTP_SSL(
                spec.host, spec.port, timeout=self._limit_s, context=self._context
            )  # fmt: skip
        else:
            client = smtplib.SMTP(spec.host, spec.port, timeout=self._limit_s)
        try:
            if spec.tls == "starttls":
                client.starttls(context=self._context)
            if self._user:
                client.login(self._user, self._password)
            refused: Mapping[str, tuple[int, bytes]] = client.send_message(mail, spec.sender, list(spec.to))
            with contextlib.suppress(smtplib.SMTPException, OSError):  # it has the message
                client.quit()
        finally:
            client.close()
        codes = ", ".join(f"{one_line(to)} {code}" for to, (code, _) in refused.items())
        return f"{self.where}: refuses some of `to` ({codes}); the others have it" if codes else ""


class Hook:
    def __init__(self, spec: Webhook, word: str, limit_s: float) -> None:
        self._spec = spec
        self._word = word
        self._limit_s = limit_s
        self.where = f"webhook {_shown(spec.url)}"

    def send(self, message: Message) -> str:
        headers = {"Idempotency-Key": message.id}
        if self._word:
            headers[self._spec.header] = self._word
        _post(self._spec.url, message.as_json(), headers, self.where, self._limit_s)
        return ""


class Topic:
    def __init__(self, spec: Ntfy, token: str, limit_s: float) -> None:
        parts = urlsplit(spec.url)
        above, _, self._topic = parts.path.rpartition("/")
        self._url = urlunsplit(parts._replace(path=above + "/"))  # JSON is published to the server, not to the topic
        self._token = token
        self._limit_s = limit_s
        self.where = f"ntfy {_shown(self._url)}"  # who knows a topic may read it

    def send(self, message: Message) -> str:
        text = message.text.encode()[:_NTFY_TEXT_MAX].decode(errors="ignore")
        body = {
            "topic": self._topic,
            "title": message.subject,
            "message": text,
            "priority": 5 if message.urgent else 3,
            "tags": ["rotating_light" if message.urgent else "information_source"],
        }
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        _post(self._url, body, headers, self.where, self._limit_s)
        return ""


def _shown(url: str) -> str:
    """A URL's server: its path may be a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _post(url: str, body: Mapping[str, object], headers: Mapping[str, str], where: str, limit_s: float) -> None:
    import requests

    from quaver import __version__

    data = json.dumps(body).encode()  # ASCII alone, whatever a node says
    sent = {"Content-Type": "application/json", "User-Agent": f"quaver/{__version__}", **headers}
    try:
        # A redirect would carry the secret elsewhere, and so would a proxy: http:// is for this machine alone. auth:
        # without one requests would look for a .netrc.
        with requests.post(
            url, data=data, headers=sent, timeout=limit_s, allow_redirects=False, stream=True, auth=lambda r: r,
            proxies={"http": ""},
        ) as answer:  # fmt: skip
            code = answer.status_code
    except (requests.RequestException, OSError, ValueError) as error:
        raise SinkDown(f"{where}: {_why(error, limit_s)}") from error
    if 200 <= code < 300:
        return
    what = {401: "refuses the secret; check its file", 403: "forbids it; check the secret and what it may do"}.get(
        code, "redirects; name the URL that it leads to" if 300 <= code < 400 else "takes no message"
    )
    raise SinkDown(f"{where}: {what} (HTTP {code})")


def _why(error: BaseException, limit_s: float) -> str:
    """The cause below what a library says of it, in words."""
    import requests

    link: BaseException | None = error
    while link is not None:
        reason = getattr(link, "reason", None)
        if isinstance(link, ssl.SSLCertVerificationError):
            return f"its certificate can't be verified ({one_line(link.verify_message)}); check host and `ca`"
        if isinstance(link, (TimeoutError, requests.Timeout)):
            return f"does not answer within {limit_s:g} s"
        if isinstance(link, ssl.SSLError):
            return "does not speak TLS as it should; check the port and smtp.tls, or https://"
        if isinstance(link, ConnectionRefusedError):
            return "refuses the connection; check host and port, and whether it runs"
        if isinstance(link, socket.gaierror):
            return f"there is no such host ({one_line(link.strerror)}); check its name"
        if isinstance(link, OSError) and link.strerror and not isinstance(link, requests.RequestException):
            return one_line(link.strerror)
        args = [arg for arg in getattr(link, "args", ()) if isinstance(arg, BaseException)]
        link = (
            reason
            if isinstance(reason, BaseException)
            else link.__cause__ or link.__context__ or next(iter(args), None)
        )
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return "closed the connection"
    return f"can't be reached ({type(error).__name__})"
