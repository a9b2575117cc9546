"""What DVC says when it cannot push or pull: which error that is, and what helps."""

from __future__ import annotations

import re

from core.errors import CrossdomainError, MissingArtifactError, OfflineError

NOT_KEPT = "do not exist neither locally nor on remote"  # a warning of DVC, which then says that all is well

# DVC's words, the error that they are and what helps; {targets} as the command names them, {action} push or pull.
CAUSES: tuple[tuple[str, type[CrossdomainError], str], ...] = (
    (
        r"unsaved files without confirmation|Use `--force`",
        CrossdomainError,
        "What was changed here is kept: move it away, or replace it: `dvc pull --force {targets}`.",
    ),
    (
        r"failed to transfer .*No such file",
        MissingArtifactError,
        "The remote lost a part of it: take files/md5/XX/REST.dir, named as the md5 in the .dvc file, out of the remote"
        " and run `dvc push {targets}` on the machine that has it.",
    ),
    (
        NOT_KEPT + "|Checkout failed|failed to load directory",
        MissingArtifactError,
        "Send it from the machine that has it, `dvc push {targets}`, then run `dvc pull {targets}` here.",
    ),
    (
        r"[Uu]nable to acquire.*lock|is busy, it is being blocked",
        CrossdomainError,
        "Wait until the other DVC command is done, then run `dvc {action} {targets}`.",
    ),
    (
        r"missing dependencies|requires.*to be installed|No module named",
        CrossdomainError,
        "For S3: pip install 'crossdomain[s3]'; for another kind of remote, what DVC names.",
    ),
    (
        r"(?i)credential|access ?key|signature|forbidden|access denied|unauthorized|\b40[13]\b",
        CrossdomainError,
        "Give DVC the credentials in .dvc/config.local (`dvc remote modify --local`) or in the environment.",
    ),
    (
        r"(?i)could not connect|cannot connect|connect(ion)? |time(d )?-?out|resolve|not known|unreachable|refused",
        OfflineError,
        "Start the remote or the network, or mend its address (`dvc remote list`), then run `dvc {action} {targets}`.",
    ),
)


def cause_of(told: str) -> tuple[type[CrossdomainError], str]:
    """The error that DVC's words are, and its repair with {action} and {targets}."""
    known = ((kind, repair) for pattern, kind, repair in CAUSES if re.search(pattern, told))
    return next(known, (CrossdomainError, "Mend this, then run `dvc {action} {targets}`."))
