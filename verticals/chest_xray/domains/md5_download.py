"""A large file of an archive that publishes only an MD5: from the mirror, the cache, or resumed from the web."""

from __future__ import annotations

import hashlib
import os
import queue
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.data.feature_cache import cache_root
from core.data.fetching import MIRROR_VARIABLE
from core.errors import MissingArtifactError, OfflineError, VerificationError

OFFLINE_VARIABLE = "CROSSDOMAIN_OFFLINE"
CONNECT_SECONDS = 5.0  # name look-up, connection and first answer together
READ_SECONDS = 30.0
PIECE_BYTES = 1024 * 1024
TOLD_EVERY = 0.05  # of the file
REPAIR = f"Check the network, or set {MIRROR_VARIABLE} to a folder or URL that has the file."

Report = Callable[[str], None]


def locate(url: str, md5: str, *, report: Report = print) -> Path:
    """The verified file: from the mirror where one is set (then nowhere else), else from the cache or from `url`.

    An MD5 tells a damaged file, not a forged one; the archive publishes no better.

    Raises:
        MissingArtifactError: the mirror or the server has no such file.
        OfflineError: it cannot be reached within seconds, or CROSSDOMAIN_OFFLINE forbids to try.
        VerificationError: the file's MD5 is another.
    """
    name = url.rsplit("/", 1)[-1].split("?")[0]
    kept = cache_root() / "archives" / md5[:16] / name
    mirror = os.environ.get(MIRROR_VARIABLE, "").strip()
    if mirror and not mirror.startswith(("http://", "https://")):
        path = Path(mirror.removeprefix("file://")) / name
        if not path.is_file():
            raise MissingArtifactError(f"The mirror has no {name}.", repair=REPAIR)
        return verify_md5(path, md5)
    if kept.is_file():
        return verify_md5(kept, md5)
    if os.environ.get(OFFLINE_VARIABLE, "").strip().lower() in {"1", "true", "yes", "on"}:
        raise OfflineError(f"{OFFLINE_VARIABLE} is set, so {name} is not fetched.", repair=f"Unset it. {REPAIR}")
    return download(f"{mirror.rstrip('/')}/{name}" if mirror else url, kept, md5, report=report)


def md5_of(path: Path) -> str:
    """Hex MD5 of a file, read in pieces."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def verify_md5(path: Path, md5: str) -> Path:
    """The path, after its content was found to be what the archive lists.

    Raises:
        VerificationError: the content differs.
    """
    actual = md5_of(path)
    if actual != md5:
        raise VerificationError(
            f"{Path(path).name} has MD5 {actual}, expected {md5}.",
            repair="It is another version or damaged: remove it and fetch again, or mend the mirror.",
        )
    return Path(path)


def download(url: str, destination: Path, md5: str, *, report: Report = print) -> Path:
    """Fetch into `<destination>.part`, going on where an earlier try stopped; renamed when its MD5 matched.

    Raises:
        MissingArtifactError: the server has no such file.
        OfflineError: the server cannot be reached, refuses, or stops in between; what came so far is kept.
        VerificationError: the content is not what the archive lists; it is removed.
    """
    part = destination.with_name(destination.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    start = part.stat().st_size if part.exists() else 0
    try:
        with _opened(url, start) as answer:
            if start and answer.status != 206:  # the server begins anew
                start = 0
            _write(answer, part, start, destination.name, report)
    except urllib.error.HTTPError as error:
        if error.code in {404, 410}:
            raise MissingArtifactError(f"{url} is not there.", repair=REPAIR) from None
        if error.code != 416:  # 416: the part is whole already
            raise OfflineError(f"{url} answers {error.code} {error.reason}.", repair=REPAIR) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise OfflineError(f"{url} cannot be reached ({reason}).", repair=REPAIR) from None
    try:
        verify_md5(part, md5)
    except VerificationError:
        part.unlink()
        raise
    part.replace(destination)
    return destination


def _opened(url: str, start: int) -> Any:
    """The server's answer. A look-up of a name can hang for longer than any timeout, so a thread does it."""
    answers: queue.Queue[Any] = queue.Queue()

    def connect() -> None:
        request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
        try:
            answers.put(urllib.request.urlopen(request, timeout=READ_SECONDS))
        except Exception as error:  # told to the waiting thread
            answers.put(error)

    threading.Thread(target=connect, daemon=True).start()
    try:
        answer = answers.get(timeout=CONNECT_SECONDS)
    except queue.Empty:
        raise OSError(f"no answer within {CONNECT_SECONDS:.0f} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _write(answer: Any, part: Path, start: int, name: str, report: Report) -> None:
    """Append the answer's bytes and tell how far it is.

    Raises:
        OSError: the connection ended before the announced length.
    """
    announced = answer.headers.get("Content-Length")
    total = start + int(announced) if announced else None
    done, told = start, start
    with part.open("ab" if start else "wb") as file:
        while piece := answer.read(PIECE_BYTES):
            file.write(piece)
            done += len(piece)
            if total and done - told >= TOLD_EVERY * total:
                report(f"  {name}: {done / 1e6:,.0f} of {total / 1e6:,.0f} MB ({done / total:.0%})")
                told = done
    if total and done < total:
        raise OSError(f"the connection ended after {done:,} of {total:,} bytes; the next try goes on from there")
