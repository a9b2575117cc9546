"""A mail server in a thread, as small as tests need it: one message after another, STARTTLS and AUTH PLAIN."""

from __future__ import annotations

import base64
import socketserver
import ssl
import threading
from contextlib import contextmanager


class MailServerState:
    """What came in, and how the server behaves."""

    def __init__(self, *, context: ssl.SSLContext | None = None, answers: dict[str, str] | None = None):
        self.context = context  # None: offers no STARTTLS
        self.answers = dict(answers or {})  # first word of a command -> answer instead of the usual one
        self.commands: list[str] = []
        self.mails: list[bytes] = []
        self.credentials: list[str] = []
        self.is_encrypted: list[bool] = []
        self.port = 0


class _Handler(socketserver.StreamRequestHandler):
    def handle(self):
        self.is_encrypted = False
        self.say("220 test")
        while line := self.rfile.readline():
            text = line.decode().strip()
            word = text.split(":")[0].split(" ")[0].upper()
            self.server.state.commands.append(text)
            special = self.server.state.answers.get(word)
            if special is not None:
                self.say(special)
            elif word == "STARTTLS":
                self.encrypt()
            elif word == "QUIT":
                self.say("221 bye")
                return
            else:
                self.answer(word, text)

    def answer(self, word: str, text: str) -> None:
        state = self.server.state
        if word == "EHLO":
            offered = ["AUTH PLAIN"] + (["STARTTLS"] if state.context and not self.is_encrypted else [])
            self.say("\r\n".join([*(f"250-{each}" for each in ["test", *offered]), "250 HELP"]))
        elif word == "AUTH":
            state.credentials.append(base64.b64decode(text.split()[2]).decode())
            self.say("235 welcome")
        elif word == "DATA":
            self.say("354 go on")
            lines = iter(self.rfile.readline, b".\r\n")
            state.mails.append(b"".join(lines))
            state.is_encrypted.append(self.is_encrypted)
            self.say("250 taken")
        else:
            self.say("250 fine")

    def encrypt(self) -> None:
        if self.server.state.context is None:
            self.say("502 not here")
            return
        self.say("220 go on")
        self.request = self.server.state.context.wrap_socket(self.request, server_side=True)
        self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb", buffering=0)
        self.is_encrypted = True

    def say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads = True, True

    def handle_error(self, *_):
        """A client that goes away in the middle is part of the tests."""


@contextmanager
def mail_server(**settings):
    """Yields the state of a server that listens on `state.port`."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.state = MailServerState(**settings)
        server.state.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield server.state
        finally:
            server.shutdown()
