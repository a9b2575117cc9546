"""A report as PDF, by the Chromium of the server where there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from core.errors import CrossdomainError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAX_SECONDS = 60


def find_chromium() -> str | None:
    """Its path: CROSSDOMAIN_CHROMIUM, or the usual names; None where there is none."""
    told = os.environ.get("CROSSDOMAIN_CHROMIUM")
    return told or next((path for name in NAMES if (path := shutil.which(name))), None)


def print_to_pdf(page: Path) -> bytes:
    """The PDF of a local HTML file that needs no network.

    Raises:
        CrossdomainError: Chromium failed or took longer than a minute.
    """
    with tempfile.TemporaryDirectory(prefix="crossdomain_pdf_") as folder:
        target = Path(folder) / "report.pdf"
        command = [
            find_chromium() or NAMES[0],
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-sync",
            f"--user-data-dir={folder}/profile",
            "--no-pdf-header-footer",
            f"--print-to-pdf={target}",
            Path(page).resolve().as_uri(),
        ]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=MAX_SECONDS)
            return target.read_bytes()
        except (OSError, subprocess.SubprocessError) as error:
            raise CrossdomainError(
                f"The PDF could not be made ({type(error).__name__}).", repair="Print the HTML report from a browser."
            ) from error
