"""A name -> class table with helpful errors. One registry for each concept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from core.errors import BadParamsError, did_you_mean

Entry = TypeVar("Entry")


class Registry(Generic[Entry]):
    """Entries of one concept by their snake_case name, which equals their module's name.

    >>> LEARNERS = Registry("learner")
    >>> @LEARNERS.register("logistic_regression")
    ... class LogisticRegression: ...
    """

    def __init__(self, concept: str) -> None:
        self.concept = concept
        self._entries: dict[str, Entry] = {}

    def register(self, name: str) -> Callable[[Entry], Entry]:
        """Decorator that files an entry under `name`.

        Raises:
            ValueError: the name is taken.
        """
        if name in self._entries:
            raise ValueError(f"{self.concept} '{name}' is registered twice")

        def file_entry(entry: Entry) -> Entry:
            self._entries[name] = entry
            return entry

        return file_entry

    def __getitem__(self, name: str) -> Entry:
        """Raises BadParamsError, naming the nearest entries, when `name` is unknown."""
        try:
            return self._entries[name]
        except KeyError:
            raise BadParamsError(
                f"Unknown {self.concept} '{name}'.", repair=did_you_mean(name, self._entries)
            ) from None

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def name_of(self, entry: Entry) -> str:
        """The name under which `entry` was registered."""
        for name, candidate in self._entries.items():
            if candidate is entry:
                return name
        raise KeyError(f"{entry!r} is not a registered {self.concept}")
