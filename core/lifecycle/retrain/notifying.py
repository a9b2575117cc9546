"""Tell people and programs how a retraining run ended: a webhook and a mail, neither of which can fail the run."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from core.errors import BadParamsError
from core.lifecycle.retrain.journal_facts import SYMBOLS, headline_of, outcome_of, reasons_of, result_of
from core.lifecycle.sending import (
    TLS_FROM_THE_START_PORT,
    VARIABLE,
    MailServer,
    SendingError,
    address_of,
    address_problem,
    from_environment,
    post_json,
    send_mail,
)
from core.strict import STRICT

Outcome = Literal["promoted", "kept", "refused", "held", "failed"]
ADDRESS = re.compile(r"[^\s@<>,;]+@[^\s@<>,;]+")
OWN_MACHINE = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, config=STRICT)
class NotifyParams:
    """Who is told of which outcomes. No secret stands here: the address and the password may come from the environment.

    Raises:
        BadParamsError: settings that can never reach anybody, or that would send a password in clear.
    """

    webhook_url: str = ""  # gets the message as JSON; "$NAME": the environment variable's value; empty: none
    on: tuple[Outcome, ...] = ("promoted", "refused", "held", "failed")
    email_to: tuple[str, ...] = ()  # empty: no mail
    email_from: str = ""
    smtp_host: str = ""
    smtp_port: int = Field(default=587, ge=1, le=65535)  # 465: TLS from the start
    smtp_user: str = ""  # empty: no sign-in
    smtp_password_variable: str = "CROSSDOMAIN_SMTP_PASSWORD"  # name of the environment variable
    use_starttls: bool = True
    timeout_seconds: float = Field(default=10.0, gt=0.0, le=300.0)  # of each step on the network

    def __post_init__(self) -> None:
        # Not as pydantic's own errors: those repeat the value, and a webhook's address is a secret.
        for name, problem, repair in (*_webhook_problems(self), *_mail_problems(self)):
            raise BadParamsError(f"params.yaml: notify.{name} {problem}.", repair=repair)


def message_of(journal: Mapping[str, Any], *, report: str) -> dict[str, Any]:
    """The run in a few words, JSON-ready. report: where its report is, a path or an address; "": none.

    text: all of it for services that show this key (Slack, Mattermost), escaped as those ask for.
    """
    decided, outcome = result_of(journal, "decide"), outcome_of(journal)
    message = {
        "vertical": journal.get("vertical") or "",
        "run": journal.get("run") or "",
        "outcome": outcome,
        "headline": headline_of(journal),
        "reasons": reasons_of(journal),
        "champion": decided.get("champion"),
        "challenger": decided.get("challenger"),
        "report": report,
    }
    text = f"{SYMBOLS.get(outcome, '?')} {_subject(message)}\n{_body(message)}"
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")  # no <!channel> from a batch's name
    return {**message, "text": escaped}


def notify(params: NotifyParams, message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Send a message of `message_of` to every channel that is set; `{channel, ok, error}` of each, and never an error.

    Nothing is sent, and the list is empty, for an outcome that is not in `params.on`.
    """
    if message.get("outcome") not in params.on:
        return []
    channels: list[tuple[str, Callable[[], None]]] = []
    if params.webhook_url:
        channels.append(("webhook", lambda: _post(params, message)))
    if params.email_to:
        channels.append(("email", lambda: _mail(params, message)))
    return [_told(channel, send) for channel, send in channels]


def _told(channel: str, send: Callable[[], None]) -> dict[str, Any]:
    try:
        send()
    except SendingError as error:
        return {"channel": channel, "ok": False, "error": str(error)}
    except Exception as error:  # a run that is done must not fail on its way out; the text might hold a secret
        return {"channel": channel, "ok": False, "error": f"unexpected {type(error).__name__}"}
    return {"channel": channel, "ok": True, "error": ""}


def _post(params: NotifyParams, message: Mapping[str, Any]) -> None:
    post_json(address_of(params.webhook_url), message, timeout_seconds=params.timeout_seconds)


def _mail(params: NotifyParams, message: Mapping[str, Any]) -> None:
    mail = EmailMessage()
    mail["Subject"] = " ".join(f"[crossdomain] {_subject(message)}".split())
    mail["From"], mail["To"] = params.email_from, ", ".join(params.email_to)
    mail["Date"], mail["Message-ID"] = formatdate(), make_msgid(domain=params.email_from.rpartition("@")[2])
    mail["Auto-Submitted"] = "auto-generated"  # no out-of-office answers
    mail.set_content(f"{_subject(message)}\n\n{_body(message)}\n")
    server = MailServer(
        host=params.smtp_host,
        port=params.smtp_port,
        user=params.smtp_user,
        password=from_environment(params.smtp_password_variable) if params.smtp_user else "",
        use_starttls=params.use_starttls,
        timeout_seconds=params.timeout_seconds,
    )
    send_mail(mail, server)


def _subject(message: Mapping[str, Any]) -> str:
    return f"{message.get('vertical')} {message.get('run')} {message.get('outcome')}: {message.get('headline')}"


def _body(message: Mapping[str, Any]) -> str:
    lines = [f"- {reason}" for reason in message.get("reasons") or ()]
    versions = [f"{role} {message[role]}" for role in ("champion", "challenger") if message.get(role)]
    lines += [f"Now: {', '.join(versions)}."] if versions else []
    lines += [f"Report: {message['report']}"] if message.get("report") else []
    return "\n".join(lines)


def _webhook_problems(params: NotifyParams) -> list[tuple[str, str, str]]:
    """(setting, what is wrong, repair) of the first problem, without the address itself."""
    repair = "Give https://... or, as such an address is a secret, $NAME of an environment variable."
    problem = address_problem(params.webhook_url)
    return [("webhook_url", problem, repair)] if problem else []


def _mail_problems(params: NotifyParams) -> list[tuple[str, str, str]]:
    """(setting, what is wrong, repair) of every problem."""
    if not params.email_to:
        return []
    problems = [
        ("email_to", f"holds {address!r}, which is no address", "Write name@example.com alone.")
        for address in params.email_to
        if not ADDRESS.fullmatch(address)
    ]
    if not params.smtp_host:
        problems.append(("smtp_host", "is empty, and there are addresses to mail to", "Name the mail server."))
    if not ADDRESS.fullmatch(params.email_from):
        problems.append(("email_from", f"is {params.email_from!r}, which is no address", "Give the sender's address."))
    if params.smtp_user and not VARIABLE.fullmatch(params.smtp_password_variable):
        repair = "Give the name alone, not the password."
        problems.append(("smtp_password_variable", "is no environment variable's name", repair))
    is_encrypted = params.use_starttls or params.smtp_port == TLS_FROM_THE_START_PORT
    if params.smtp_user and not is_encrypted and params.smtp_host not in OWN_MACHINE:
        repair = "Set it to true, or smtp_port to 465."
        problems.append(("use_starttls", "is false, and the password would be sent in clear", repair))
    return problems
