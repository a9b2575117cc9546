"""Send one message, by HTTP or by mail: bounded in time, tried again where that helps, no secret in an error."""

from __future__ import annotations

import base64
import json
import os
import re
import smtplib
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from core.artifacts import to_plain

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
BACK_OFF_SECONDS = (0.5, 2.0)  # before the second and the third attempt
TRY_AGAIN_STATUS = (408, 425, 429)  # and all from 500 on
TLS_FROM_THE_START_PORT = 465
MAX_ANSWER_BYTES = 16 * 2**20
MAX_TOLD_CHARACTERS = 200  # of what a server says


class SendingError(Exception):
    """Why a message did not go out, in words that hold no secret."""

    def __init__(self, message: str, *, is_temporary: bool = False, status: int | None = None) -> None:
        super().__init__(message)
        self.is_temporary, self.status = is_temporary, status


@dataclass(frozen=True)
class MailServer:
    """Where mail goes out. password: shown nowhere."""

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)
    use_starttls: bool = True
    timeout_seconds: float = 10.0


class _NoRedirect(HTTPRedirectHandler):
    """A redirected POST would become a GET without its message, perhaps to another scheme."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow none: the answer becomes an error."""


def web_problem(url: str) -> str:
    """Why an address cannot be posted to, empty where it can; the address itself is not repeated, it is a secret."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "is no web address"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "does not begin with https:// or http:// and a host"
    if parts.username is not None or parts.password is not None:
        return "holds a user or a password before its host, which is not supported"
    return "" if url.isascii() and url.isprintable() and " " not in url else "holds spaces or letters beyond ASCII"


def address_problem(told: str) -> str:
    """As `web_problem` of a setting: an address, "$NAME" of the environment variable that holds one, or empty."""
    if told.startswith("$"):
        return "" if VARIABLE.fullmatch(told[1:]) else "is no environment variable's name after its $"
    return web_problem(told) if told else ""


def address_of(told: str) -> str:
    """The address that a setting tells, which `address_problem` found well-formed.

    Raises:
        SendingError: the environment variable is not set or empty.
    """
    return from_environment(told[1:]).strip() if told.startswith("$") else told


def from_environment(name: str) -> str:
    """Raises:
    SendingError: the variable is not set or empty.
    """
    value = os.environ.get(name, "")
    if not value:
        raise SendingError(f"the environment variable {name} is not set")
    return value


def post_json(url: str, values: Mapping[str, Any], *, timeout_seconds: float) -> None:
    """POST the values as JSON; what the server says beyond its status is not waited for.

    timeout_seconds: of each step on the network (connect, one read), so that a silent server costs three of them.

    Raises:
        SendingError: the address is none, or three attempts did not get a 2xx answer.
    """
    _exchange(url, values, timeout_seconds=timeout_seconds)


def call_json(
    url: str,
    values: Mapping[str, Any] | None = None,
    *,
    method: str = "POST",
    token: str = "",
    timeout_seconds: float,
) -> dict[str, Any]:
    """Ask a server that speaks JSON; its answer. values: the body, none for GET. token: of a bearer, shown nowhere.

    Raises:
        SendingError: as `post_json`, with the HTTP status where there is one, or an answer that is no JSON object.
    """
    body = _exchange(
        url, values, method=method, token=token, timeout_seconds=timeout_seconds, num_bytes=MAX_ANSWER_BYTES
    )
    try:
        told = json.loads(body or b"{}")
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise SendingError(f"{urlsplit(url).hostname} did not answer with a JSON object")
    return told


def _exchange(
    url: str,
    values: Mapping[str, Any] | None,
    *,
    method: str = "POST",
    token: str = "",
    timeout_seconds: float,
    num_bytes: int = 0,
) -> bytes:
    """The first bytes of the answer; of 0 none is read, so that a message that arrived is never sent twice."""
    if problem := web_problem(url):
        raise SendingError(f"the address {problem}")
    body = None if values is None else json.dumps(to_plain(dict(values)), allow_nan=False, default=str).encode("ascii")
    headers = {"Content-Type": "application/json", "User-Agent": "crossdomain"}
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    request = Request(url, data=body, headers=headers, method=method)
    return _trying_again(lambda: _ask_once(request, urlsplit(url).hostname or "", timeout_seconds, num_bytes))


def send_mail(mail: EmailMessage, server: MailServer) -> None:
    """Hand a mail to its server; TLS from the start at port 465, else STARTTLS where the settings ask for it.

    Raises:
        SendingError: the server cannot be reached, offers no STARTTLS, or refuses the user or an address.
    """
    _trying_again(lambda: _mail_once(mail, server))


def _trying_again(send: Callable[[], Any]) -> Any:
    """Up to three attempts, as long as the failure is of a kind that passes."""
    for pause in (*BACK_OFF_SECONDS, None):
        try:
            return send()
        except SendingError as error:
            if not error.is_temporary:
                raise
            if pause is None:
                raise SendingError(f"{error} ({len(BACK_OFF_SECONDS) + 1} attempts)") from None
            time.sleep(pause)


def _ask_once(request: Request, host: str, timeout_seconds: float, num_bytes: int) -> bytes:
    try:
        with build_opener(_NoRedirect).open(request, timeout=timeout_seconds) as answer:
            return answer.read(num_bytes)
    except HTTPError as error:
        error.close()
        hint = "; a redirect is not followed, give the final address" if 300 <= error.code < 400 else ""
        is_temporary = error.code in TRY_AGAIN_STATUS or error.code >= 500
        told = f"{host} answered HTTP {error.code}{hint}"
        raise SendingError(told, is_temporary=is_temporary, status=error.code) from None
    except (OSError, HTTPException) as error:
        raise SendingError(f"{host}: {_reason(error, timeout_seconds)}", is_temporary=True) from None


def _mail_once(mail: EmailMessage, server: MailServer) -> None:
    try:
        smtp = _connected(server)
        try:
            refused = smtp.send_message(mail)
        finally:
            with suppress(OSError):  # a mail that was taken is not sent again because the goodbye failed
                smtp.quit()
    except smtplib.SMTPNotSupportedError as error:
        raise SendingError(f"{server.host}: {error}") from None
    except smtplib.SMTPRecipientsRefused as error:
        raise SendingError(_refused(server, error.recipients)) from None
    except smtplib.SMTPResponseException as error:
        is_temporary = 400 <= error.smtp_code < 500
        raise SendingError(_answer(server, error), is_temporary=is_temporary) from None
    except OSError as error:
        told = f"{server.host}:{server.port}: {_reason(error, server.timeout_seconds)}"
        raise SendingError(told, is_temporary=True) from None
    if refused:
        raise SendingError(_refused(server, refused))


def _connected(server: MailServer) -> smtplib.SMTP:
    """Connected, encrypted and signed in, as far as the settings ask for it."""
    context = ssl.create_default_context()
    if server.port == TLS_FROM_THE_START_PORT:
        smtp = smtplib.SMTP_SSL(server.host, server.port, timeout=server.timeout_seconds, context=context)
    else:
        smtp = smtplib.SMTP(server.host, server.port, timeout=server.timeout_seconds)
    try:
        if server.use_starttls and server.port != TLS_FROM_THE_START_PORT:
            smtp.starttls(context=context)
        if server.user:
            smtp.login(server.user, server.password)
    except BaseException:
        smtp.close()
        raise
    return smtp


def _reason(error: Exception, timeout_seconds: float) -> str:
    """An error of the network in words of our own or the system's; never its text, which may repeat the address."""
    inner = error.reason if isinstance(error, URLError) else error
    if isinstance(inner, TimeoutError):
        return f"no answer within {timeout_seconds:g} s"
    strerror = inner.strerror if isinstance(inner, OSError) else None
    return f"{strerror}" if strerror else f"the connection failed ({type(inner).__name__})"


def _answer(server: MailServer, error: smtplib.SMTPResponseException) -> str:
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return f"{server.host} refused the user or the password (SMTP {error.smtp_code})"
    return f"{server.host} answered SMTP {error.smtp_code}: {_shown(error.smtp_error, server)}"


def _refused(server: MailServer, refused: Mapping[str, tuple[int, bytes]]) -> str:
    told = "; ".join(f"{address} (SMTP {code}: {_shown(text, server)})" for address, (code, text) in refused.items())
    return f"{server.host} refused {told}"


def _shown(text: bytes | str, server: MailServer) -> str:
    """A server's own words, cut, without the password in clear or as it is sent."""
    shown = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
    sent = f"\0{server.user}\0{server.password}"
    for secret in (server.password, *(base64.b64encode(told.encode()).decode() for told in (server.password, sent))):
        shown = shown.replace(secret, "***") if server.password else shown
    return " ".join(shown.split())[:MAX_TOLD_CHARACTERS]
