"""The setting of every dataclass that is read from YAML: an unknown key is an error."""

from pydantic import ConfigDict

STRICT = ConfigDict(extra="forbid")
