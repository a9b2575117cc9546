"""`crossdomain dashboard`: the Streamlit pages, on this machine alone unless people sign in."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from core.cli.project import project_root
from core.errors import CrossdomainError

HELP = """Open the dashboards over what the pipeline wrote.

Example: crossdomain dashboard

Example: crossdomain dashboard --address 0.0.0.0 --port 8501

Another address than this machine's needs sign-in: `crossdomain users add NAME --role owner`, a proxy that names the
user in the header CROSSDOMAIN_PROXY_USER_HEADER, or [auth] in .streamlit/secrets.toml. Serve it behind HTTPS.
"""


def dashboard(
    address: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8501,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser.")] = False,
) -> None:
    """Start the server; it ends with Ctrl-C."""
    root = project_root()
    if importlib.util.find_spec("streamlit") is None:
        raise CrossdomainError("Streamlit is not installed.", repair="Run `pip install 'crossdomain[dashboard]'`.")
    check_address(root, address)
    command = [
        sys.executable, "-m", "streamlit", "run", str(root / "apps" / "dashboard.py"), "--server.address", address,
        "--server.port", str(port), "--server.headless", str(not browser).lower(),
    ]  # fmt: skip
    raise typer.Exit(subprocess.run(command, cwd=root, check=False).returncode)


def check_address(root: Path, address: str) -> None:
    """Raise CrossdomainError where strangers could look without having signed in; see `check_binding`."""
    from core.lifecycle.serving import PROXY_VARIABLE, check_binding
    from core.lifecycle.users import read_users, users_path

    secrets = root / ".streamlit" / "secrets.toml"
    check_binding(
        address,
        has_users=bool(read_users(users_path(root))),
        proxy_header=os.environ.get(PROXY_VARIABLE, ""),
        has_oidc=secrets.exists() and "[auth]" in secrets.read_text(encoding="utf-8"),
    )
