"""Errors that a user can mend: what was got, what was expected, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class CrossdomainError(Exception):
    """A user's mistake or a refused input; the command line prints it without a traceback.

    `repair` is the sentence that says what to do next.
    """

    exit_code = 2

    def __init__(self, message: str, *, repair: str = "") -> None:
        super().__init__(f"{message} {repair}".strip())
        self.message = message
        self.repair = repair


class BadInputError(CrossdomainError):
    """Data that cannot be read or does not fit its domain.yaml."""

    exit_code = 3


class BadParamsError(CrossdomainError):
    """An unknown key, a bad value or an impossible combination in params.yaml."""

    exit_code = 4


class MissingArtifactError(CrossdomainError):
    """A file that an earlier stage or `crossdomain fetch` should have written is not there."""

    exit_code = 5


class VerificationError(CrossdomainError):
    """A checksum, a saved model or a weight file is not what it claims to be."""

    exit_code = 6


class OfflineError(CrossdomainError):
    """A public archive or hub cannot be reached."""

    exit_code = 7


def nearest(name: str, choices: Iterable[str], *, limit: int = 3) -> list[str]:
    """The choices that look most like `name`, best first."""
    pool = [str(choice) for choice in choices]
    by_lower = {choice.lower(): choice for choice in pool}
    matches = difflib.get_close_matches(name.lower(), list(by_lower), n=limit, cutoff=0.55)
    return [by_lower[match] for match in matches]


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """A sentence that names the nearest choices, or all of them when none is near."""
    pool = sorted(str(choice) for choice in choices)
    close = nearest(name, pool)
    if close:
        return "Did you mean " + " or ".join(f"'{choice}'" for choice in close) + "?"
    if not pool:
        return "There is nothing to choose from."
    shown = ", ".join(pool[:12]) + (", ..." if len(pool) > 12 else "")
    return f"Choose from: {shown}."
