"""Keys that stand for patients, studies and pictures: HMAC-SHA-256 under a salt that never leaves the machine."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import stat
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import BadInputError, BadParamsError

SALT_VARIABLE = "CROSSDOMAIN_SALT_FILE"
DEFAULT_SALT_FILE = Path("~/.config/crossdomain/pseudonym.salt")
SALT_BYTES = 32
KEY_CHARACTERS = 16  # 64 bits: among a million patients two share a key with a chance of 3 in 100 million
FINGERPRINT_FILE = "pseudonyms.json"
PUBLISHED_FOLDERS = ("data", "artifacts")
NO_PATIENT = frozenset(
    {"", "0", "-", "na", "n/a", "none", "null", "unknown", "anonymous", "anonymized", "anonymised", "anon",
     "anonymous patient", "no id", "removed", "deidentified", "de-identified", "x", "xxx", "xxxx"}
)  # fmt: skip


@dataclass(frozen=True)
class Pseudonyms:
    """Makes keys under one salt; equal inputs give equal keys, and without the salt a key tells nothing."""

    salt: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.salt) < SALT_BYTES:
            raise BadParamsError(f"A salt has {SALT_BYTES} bytes; got {len(self.salt)}.", repair="Make a new one.")

    @classmethod
    def from_salt_file(cls, path: Path | None = None, *, keep_out_of: Sequence[Path] = ()) -> Pseudonyms:
        """The salt of `path`, else of CROSSDOMAIN_SALT_FILE, else of the home folder; a new one where there is none.

        keep_out_of: folders, beside data/ and artifacts/ here, that a salt must not lie in because they are shared.

        Raises:
            BadParamsError: it lies in such a folder, is no salt, is readable by others, or cannot be made.
        """
        return cls(_read_or_make_salt(_salt_path(path, keep_out_of)))

    def patient_key(self, patient_id: str, issuer: str = "") -> str | None:
        """The key of a patient; None where the id is missing or a stand-in such as ANONYMOUS."""
        told = normalised(patient_id)
        return None if told in NO_PATIENT else self._key("p", "patient", normalised(issuer), told)

    def study_key(self, study_uid: str) -> str:
        """The key of a study."""
        return self._key("s", "study", normalised(study_uid))

    def picture_key(self, sop_instance_uid: str) -> str:
        """The key of one picture."""
        return self._key("x", "picture", normalised(sop_instance_uid))

    def content_key(self, raw: bytes) -> str:
        """The key of a file that has no identity of its own."""
        return self._key("x", "content", hashlib.sha256(raw).hexdigest())

    def salt_fingerprint(self) -> str:
        """Tells whether two deliveries were made under one salt; does not reveal it."""
        return self._key("", "fingerprint")

    def _key(self, prefix: str, *parts: str) -> str:
        message = "\0".join(parts).encode()
        return prefix + hmac.new(self.salt, message, hashlib.sha256).hexdigest()[:KEY_CHARACTERS]


def normalised(text: str) -> str:
    """An id as it is compared: one form of letters, no case, no spaces at the ends, single ones inside."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().replace("\0", "").split())


def check_same_salt(folder: Path, fingerprint: str) -> None:
    """Raise BadInputError if the domain's batches have another salt: a patient would get two keys."""
    file = Path(folder) / FINGERPRINT_FILE
    if not file.exists():
        return
    try:
        known = json.loads(file.read_text(encoding="utf-8"))["salt_fingerprint"]
    except (ValueError, KeyError, TypeError):
        raise BadInputError(f"{FINGERPRINT_FILE} of domain '{folder.name}' is damaged.", repair="Restore it.") from None
    if known != fingerprint:
        raise BadInputError(
            f"Domain '{folder.name}' has another salt (fingerprint {known}, here {fingerprint}): one patient "
            "would get two keys and could stand in training and test.",
            repair=f"Point {SALT_VARIABLE} at the first salt, or import everything into a new domain.",
        )


def write_fingerprint(folder: Path, fingerprint: str) -> None:
    """Note beside a domain's rows under which salt its keys were made."""
    file = Path(folder) / FINGERPRINT_FILE
    file.write_text(json.dumps({"salt_fingerprint": fingerprint}, indent=2) + "\n", encoding="utf-8")


def _salt_path(path: Path | None, keep_out_of: Sequence[Path]) -> Path:
    told = path or os.environ.get(SALT_VARIABLE, "").strip() or DEFAULT_SALT_FILE
    file = Path(told).expanduser().resolve()
    for folder in (*keep_out_of, *(Path.cwd() / name for name in PUBLISHED_FOLDERS)):
        if file.is_relative_to(Path(folder).resolve()):
            raise BadParamsError(
                f"The salt would lie in {Path(folder).name}/, which is shared with others.",
                repair=f"Point {SALT_VARIABLE} at a file outside of it.",
            )
    return file


def _read_or_make_salt(file: Path) -> bytes:
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read_salt(file)
    except OSError as error:
        raise BadParamsError(
            f"The salt file cannot be made ({error.strerror}).", repair=f"Point {SALT_VARIABLE} at a writable file."
        ) from None
    salt = secrets.token_bytes(SALT_BYTES)
    with os.fdopen(handle, "w", encoding="ascii") as stream:
        stream.write(salt.hex() + "\n")
    return salt


def _read_salt(file: Path) -> bytes:
    repair = f"Restore it, or point {SALT_VARIABLE} at another file (earlier keys can then not be made again)."
    try:
        is_open_to_others = os.name == "posix" and file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
        salt = bytes.fromhex(file.read_text(encoding="ascii").strip())
    except OSError as error:
        raise BadParamsError(f"The salt file cannot be read ({error.strerror}).", repair=repair) from None
    except ValueError:
        raise BadParamsError("The salt file holds no salt (64 hexadecimal digits).", repair=repair) from None
    if is_open_to_others:
        raise BadParamsError("The salt file can be read by others.", repair=f"Run: chmod 600 {file.name}")
    if len(salt) < SALT_BYTES:
        raise BadParamsError("The salt file holds no salt (64 hexadecimal digits).", repair=repair)
    return salt
