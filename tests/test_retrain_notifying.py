"""The webhook and the mail of a retraining run, against real servers: what arrives, what is tried again, no secrets."""

from __future__ import annotations

import email
import email.policy
import http.server
import json
import socket
import ssl
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from retrain_journals import journal_of
from small_mail_server import mail_server

from core.errors import BadParamsError
from core.lifecycle import sending
from core.lifecycle.retrain.notifying import NotifyParams, message_of, notify
from core.params import parse_section

SECRET = "s3cr3t-token"


@pytest.fixture(autouse=True)
def quick_and_direct(monkeypatch):
    """No long pauses, and no proxy between a test and its own server."""
    monkeypatch.setattr(sending, "BACK_OFF_SECONDS", (0.01, 0.01))
    monkeypatch.setattr("socket.getfqdn", lambda *_: "localhost.test")
    monkeypatch.setenv("no_proxy", "*")


@dataclass
class Hook:
    """A web server's answers, one a request (the last one stays), and what it got."""

    answers: list[int]
    location: str = ""
    got: list[tuple[str, dict, bytes]] = field(default_factory=list)
    url: str = ""


@contextmanager
def web_hook(*answers: int, location: str = ""):
    hook = Hook(list(answers), location)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.got.append((self.path, dict(self.headers), body))
            self.send_response(hook.answers.pop(0) if len(hook.answers) > 1 else hook.answers[0])
            if hook.location:
                self.send_header("Location", hook.location)
            self.end_headers()

        def do_GET(self):
            self.do_POST()

        def log_message(self, *_):
            """Quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hook.url = f"http://127.0.0.1:{server.server_address[1]}/hooks/{SECRET}?token={SECRET}"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield hook
        finally:
            server.shutdown()


def message(outcome: str = "promoted", **changes) -> dict:
    return {**message_of(journal_of(outcome), report="artifacts/report.html"), **changes}


def mail_params(port: int, **changes) -> NotifyParams:
    told = {"email_to": ("risk@bank.test", "ops@bank.test"), "email_from": "models@bank.test"}
    return NotifyParams(**{**told, "smtp_host": "127.0.0.1", "smtp_port": port, "use_starttls": False, **changes})


def test_message_holds_what_a_person_and_a_program_need():
    told = message_of(journal_of("refused"), report="here/report.html")
    assert set(told) == {
        "vertical", "run", "outcome", "headline", "reasons", "champion", "challenger", "report", "text",
    }  # fmt: skip
    assert (told["outcome"], told["champion"], told["challenger"]) == ("refused", "v0003", "v0004")
    assert told["reasons"][0] == "Refused: this model must not be released: fresh hold-out."
    assert any(reason.startswith("Gate 'fresh hold-out") for reason in told["reasons"])
    assert "v0004 was refused" in told["text"] and "here/report.html" in told["text"]
    assert json.loads(json.dumps(told)) == told


def test_message_says_nothing_twice():
    told = message_of(journal_of("kept", shift=0.0, seed=2), report="")
    assert told["reasons"] == ["The monitor asks for nothing. No test alarms."]


def test_message_of_a_run_without_an_end_is_a_failure_with_its_error():
    journal = {**journal_of("kept", until="watch"), "outcome": None, "ended_at": None, "error": "The disk is full."}
    told = message_of(journal, report="")
    assert told["outcome"] == "failed" and told["headline"] == "The run failed after the step 'watch'."
    assert told["reasons"][0] == "The disk is full." and "Report" not in told["text"]


def test_message_text_mentions_nobody_by_a_batch_name():
    told = message_of(journal_of("refused", until="take_in", batch="<!channel> & co"), report="")
    assert "&lt;!channel&gt; &amp; co" in told["text"] and "<!channel>" in told["headline"]


def test_webhook_gets_the_message_as_json():
    with web_hook(200) as hook:
        assert notify(NotifyParams(webhook_url=hook.url), message()) == [
            {"channel": "webhook", "ok": True, "error": ""}
        ]
    [(path, headers, body)] = hook.got
    assert path.endswith(f"?token={SECRET}") and headers["Content-Type"] == "application/json"
    assert json.loads(body) == message()


def test_webhook_address_comes_from_the_environment(monkeypatch):
    params = NotifyParams(webhook_url="$MY_HOOK")
    assert notify(params, message())[0]["error"] == "the environment variable MY_HOOK is not set"
    with web_hook(200) as hook:
        monkeypatch.setenv("MY_HOOK", hook.url + "\n")
        assert notify(params, message())[0]["ok"] and len(hook.got) == 1
    monkeypatch.setenv("MY_HOOK", f"ftp://host/{SECRET}")
    [told] = notify(params, message())
    assert not told["ok"] and SECRET not in told["error"] and "https://" in told["error"]


@pytest.mark.parametrize(
    ("answers", "is_sent", "num_requests"),
    [
        ((500, 200), True, 2),
        ((503, 429, 204), True, 3),
        ((500,), False, 3),
        ((404,), False, 1),
        ((410, 200), False, 1),
    ],
)
def test_webhook_is_tried_again_where_that_helps(answers, is_sent, num_requests):
    with web_hook(*answers) as hook:
        [told] = notify(NotifyParams(webhook_url=hook.url), message())
    assert told["ok"] is is_sent and len(hook.got) == num_requests
    assert SECRET not in told["error"] and (is_sent or f"HTTP {answers[0]}" in told["error"])


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["file:///etc/passwd", "/elsewhere"])
def test_webhook_follows_no_redirect(code, location):
    with web_hook(code, location=location) as hook:
        [told] = notify(NotifyParams(webhook_url=hook.url), message())
    assert not told["ok"] and len(hook.got) == 1
    assert f"HTTP {code}" in told["error"] and "redirect" in told["error"] and location not in told["error"]


def test_webhook_that_refuses_the_connection_is_an_entry_without_secrets():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/hooks/{SECRET}?token={SECRET}"
    [told] = notify(NotifyParams(webhook_url=url), message())
    assert told == {"channel": "webhook", "ok": False, "error": "127.0.0.1: Connection refused (3 attempts)"}


def test_webhook_that_never_answers_costs_three_timeouts_at_most():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/{SECRET}"
        started = time.perf_counter()
        [told] = notify(NotifyParams(webhook_url=url, timeout_seconds=0.2), message())
    assert told["error"] == "127.0.0.1: no answer within 0.2 s (3 attempts)"
    assert 0.5 < time.perf_counter() - started < 5


def test_webhook_that_speaks_no_http_is_an_entry():
    def babble(server):
        for _ in range(3):
            connection, _ = server.accept()
            connection.recv(65536)
            connection.sendall(b"220 this is a mail server\r\n")
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=babble, args=(server,), daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/{SECRET}"
        [told] = notify(NotifyParams(webhook_url=url), message())
    assert not told["ok"] and SECRET not in told["error"] and "BadStatusLine" in told["error"]


def test_only_the_outcomes_that_are_asked_for_are_told():
    with web_hook(200) as hook:
        params = NotifyParams(webhook_url=hook.url)
        assert notify(params, message("kept")) == [] and hook.got == []
        assert len(notify(NotifyParams(webhook_url=hook.url, on=("kept",)), message("kept"))) == 1
    assert notify(NotifyParams(), message()) == []


def test_notify_survives_a_message_that_is_none():
    with web_hook(200) as hook, mail_server() as server:
        params = mail_params(server.port, webhook_url=hook.url)
        told = notify(params, {"outcome": "failed", "value": float("nan"), "odd": object(), "headline": "a\nb"})
    assert [each["ok"] for each in told] == [True, True]
    assert json.loads(hook.got[0][2])["value"] is None
    assert notify(params, {"outcome": "failed", object(): 1, "reasons": 3})[0]["ok"] is False


def test_mail_arrives_whole_and_plain():
    with mail_server() as server:
        assert notify(mail_params(server.port), message("held")) == [{"channel": "email", "ok": True, "error": ""}]
    mail = email.message_from_bytes(server.mails[0], policy=email.policy.default)
    assert mail["Subject"].startswith("[crossdomain] credit_risk r0007 held: v0004 is held for a person")
    assert (mail["From"], mail["To"]) == ("models@bank.test", "risk@bank.test, ops@bank.test")
    assert mail["Auto-Submitted"] == "auto-generated" and mail["Message-ID"] and mail["Date"]
    assert mail.get_content_type() == "text/plain"
    text = mail.get_content()
    assert "- Gate 'gain': none is better by more than chance" in text and "Report: artifacts/report.html" in text
    assert [line for line in server.commands if line.upper().startswith("RCPT")] == [
        "rcpt TO:<risk@bank.test>", "rcpt TO:<ops@bank.test>",
    ]  # fmt: skip


def test_mail_signs_in_with_the_password_of_the_environment(monkeypatch):
    with mail_server() as server:
        params = mail_params(server.port, smtp_user="models")
        assert "CROSSDOMAIN_SMTP_PASSWORD is not set" in notify(params, message())[0]["error"]
        monkeypatch.setenv("CROSSDOMAIN_SMTP_PASSWORD", SECRET)
        assert notify(params, message())[0]["ok"]
    assert server.credentials == [f"\0models\0{SECRET}"]


@pytest.mark.parametrize(
    ("answers", "wanted"),
    [
        ({"AUTH": f"535 no such password {SECRET}"}, "refused the user or the password (SMTP 535)"),
        ({"MAIL": f"550 go away, {SECRET}"}, "SMTP 550: go away, ***"),
        ({"RCPT": f"550 nobody here, {SECRET}"}, "refused risk@bank.test (SMTP 550: nobody here, ***); ops@bank.test"),
        ({"DATA": "451 later"}, "SMTP 451: later (3 attempts)"),
        ({"EHLO": "502 what", "HELO": "502 what"}, "SMTP 502: what"),
    ],
)
def test_mail_errors_tell_the_cause_and_no_password(answers, wanted, monkeypatch):
    monkeypatch.setenv("CROSSDOMAIN_SMTP_PASSWORD", SECRET)
    with mail_server(answers=answers) as server:
        [told] = notify(mail_params(server.port, smtp_user="models"), message())
    assert not told["ok"] and wanted in told["error"] and SECRET not in told["error"] and not server.mails


def test_mail_without_a_server_is_an_entry():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    [told] = notify(mail_params(port), message())
    assert told["error"] == f"127.0.0.1:{port}: Connection refused (3 attempts)"


def test_mail_server_that_never_speaks_costs_three_timeouts_at_most():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.perf_counter()
        [told] = notify(mail_params(silent.getsockname()[1], timeout_seconds=0.2), message())
    assert not told["ok"] and "(3 attempts)" in told["error"] and time.perf_counter() - started < 5


def test_mail_that_was_taken_is_not_sent_twice_for_a_bad_goodbye():
    with mail_server(answers={"QUIT": "500 what"}) as server:
        assert notify(mail_params(server.port), message())[0]["ok"]
    assert len(server.mails) == 1


def test_mail_is_not_sent_in_clear_where_starttls_is_asked_for(monkeypatch):
    monkeypatch.setenv("CROSSDOMAIN_SMTP_PASSWORD", SECRET)
    with mail_server() as server:
        [told] = notify(mail_params(server.port, use_starttls=True, smtp_user="models"), message())
    assert "STARTTLS" in told["error"] and not server.mails and not server.credentials


def test_starttls_wants_a_certificate_that_is_trusted(tmp_path, monkeypatch):
    certificate = own_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    monkeypatch.setenv("CROSSDOMAIN_SMTP_PASSWORD", SECRET)
    with mail_server(context=context) as server:
        params = mail_params(server.port, use_starttls=True, smtp_user="models")
        [told] = notify(params, message())
        assert "certificate verify failed" in told["error"] and not server.credentials
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert notify(params, message()) == [{"channel": "email", "ok": True, "error": ""}]
    assert server.is_encrypted == [True] and server.credentials == [f"\0models\0{SECRET}"]


def own_certificate(folder):
    """A file with a key and a certificate of 127.0.0.1 that signs itself."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding, no_password = serialization.Encoding.PEM, serialization.NoEncryption()
    secret = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, no_password)
    path = folder / "own.pem"
    path.write_bytes(secret + made.public_bytes(encoding))
    return path


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"webhook_url": f"ftp://host/{SECRET}"}, "notify.webhook_url does not begin"),
        ({"webhook_url": f"https://me:{SECRET}@host/"}, "notify.webhook_url holds a user"),
        ({"webhook_url": f"https://host:port/{SECRET}"}, "notify.webhook_url is no web address"),
        ({"webhook_url": f"https://host/a b{SECRET}"}, "notify.webhook_url holds spaces"),
        ({"webhook_url": f"$MY-{SECRET}"}, "notify.webhook_url is no environment variable"),
        ({"email_to": ("a@b.test",)}, "notify.smtp_host is empty"),
        ({"email_to": ("a@b.test",), "smtp_host": "mail"}, "notify.email_from is ''"),
        ({"email_to": ("nobody",), "smtp_host": "mail"}, "notify.email_to holds 'nobody'"),
        ({"email_to": ("a@b.test\nBcc: c@d.test",), "smtp_host": "mail"}, "notify.email_to holds"),
        (
            {"email_to": ("a@b.test",), "smtp_host": "mail", "email_from": "m@b.test", "smtp_user": "m",
             "use_starttls": False},
            "notify.use_starttls is false",
        ),
        (
            {"email_to": ("a@b.test",), "smtp_host": "mail", "email_from": "m@b.test", "smtp_user": "m",
             "smtp_password_variable": f"{SECRET}!"},
            "notify.smtp_password_variable is no environment",
        ),
        ({"on": ("sometimes",)}, "retrain.notify.on"),
        ({"smtp_prt": 25}, "unknown key 'retrain.notify.smtp_prt'"),
        ({"timeout_seconds": 0}, "retrain.notify.timeout_seconds"),
    ],
)  # fmt: skip
def test_settings_that_reach_nobody_are_refused_without_the_secret(settings, wanted):
    with pytest.raises(BadParamsError, match=wanted.replace("$", r"\$")) as caught:
        parse_section(NotifyParams, settings, where="retrain.notify")
    assert SECRET not in str(caught.value)


def test_settings_are_refused_at_construction_too():
    with pytest.raises(BadParamsError, match="smtp_host"):
        NotifyParams(email_to=("a@b.test",))


@pytest.mark.parametrize("url", ["https://[", "https://host:99999/", "http://", "https://h\u00f6st/"])
def test_odd_addresses_are_problems_and_no_crash(url):
    assert sending.web_problem(url)


def test_webhook_that_takes_the_message_and_never_ends_its_answer_gets_it_once():
    got = []

    def take_and_hang(server):
        connection, _ = server.accept()
        with connection:
            got.append(connection.recv(65536))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
            time.sleep(1.0)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=take_and_hang, args=(server,), daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        (told,) = notify(NotifyParams(webhook_url=url, timeout_seconds=0.3), message())
    assert told["ok"] and len(got) == 1
