"""What every page is given: the vertical, its run, who is looking, and the texts in their language."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import Any

from apps.language import translate, word
from apps.run_files import RunFiles
from core.errors import CrossdomainError
from core.lifecycle.users import may
from core.vertical import Vertical, load_vertical

# Sessions are threads: two that import the same large package at once can find it half-made.
IMPORT_LOCK = RLock()


class NotAllowedError(CrossdomainError):
    """A visitor asked for what their role does not allow."""


@dataclass(frozen=True)
class Visitor:
    """Who is signed in. role: viewer, labeller or owner. is_local: nobody was asked, the address is this machine's."""

    name: str
    role: str
    is_local: bool = False


@dataclass(frozen=True)
class Page:
    """name: of the page's module and of its texts' file."""

    name: str
    root: Path
    vertical_name: str
    visitor: Visitor
    language: str

    @cached_property
    def vertical(self) -> Vertical:
        """The vertical's description."""
        return load_vertical(self.vertical_name)

    @cached_property
    def run(self) -> RunFiles:
        """What its last run wrote."""
        return RunFiles(self.root, self.vertical_name)

    def text(self, key: str, **values: Any) -> str:
        """The page's own text, or with a dot any other (`common.save`)."""
        return translate(key if "." in key else f"{self.name}.{key}", self.language, **values)

    def word(self, name: object) -> str:
        """What a run or a vertical wrote, in the reader's language where it is known."""
        return word("words", str(name), self.language)

    def days(self, num_days: int | str) -> str:
        """`1 day`, `5 days`."""
        return self.text("common.one_day") if str(num_days) == "1" else self.text("common.several_days", days=num_days)

    def metric(self, name: str) -> str:
        """A metric's title."""
        return word("metrics", name, self.language)

    def may(self, action: str) -> bool:
        """Whether the visitor's role allows the action."""
        return may(self.visitor.role, action)

    def require(self, action: str) -> None:
        """Raise NotAllowedError unless the visitor's role allows the action; asked where the action is carried out."""
        if not self.may(action):
            raise NotAllowedError(self.text("common.not_allowed", role=self.text(f"common.role_{self.visitor.role}")))
