"""A dashboard in a process of its own, for a browser to visit."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROJECT = Path(__file__).parents[1]


@contextmanager
def running_dashboard(root: Path, log: Path) -> Iterator[str]:
    """The address of a dashboard over `root`; what the server says goes to `log`.

    Where the block inside fails, the log ends with what every thread of the server was doing.
    """
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "apps/dashboard.py", "--server.port", str(port)]
    environment = {**os.environ, "CROSSDOMAIN_ROOT": str(root), "PYTHONPATH": str(PROJECT), "PYTHONFAULTHANDLER": "1"}
    with log.open("w") as file:
        server = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=file, stderr=subprocess.STDOUT)
        try:
            _wait_for(f"http://127.0.0.1:{port}")
            yield f"http://127.0.0.1:{port}"
        except BaseException:
            server.send_signal(signal.SIGABRT)  # at which Python writes the stacks
            raise
        finally:
            _stop(server)


def _stop(server: subprocess.Popen) -> None:
    server.terminate()
    try:
        server.wait(timeout=20)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _wait_for(address: str, *, seconds: float = 60.0) -> None:
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        try:
            urllib.request.urlopen(f"{address}/_stcore/health", timeout=1)
            return
        except OSError:
            time.sleep(0.5)
    raise TimeoutError(f"The dashboard did not answer within {seconds:.0f} s.")
