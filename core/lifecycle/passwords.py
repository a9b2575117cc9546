"""Passwords as salted scrypt digests, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import os
import unicodedata
from dataclasses import dataclass

from core.errors import BadInputError

COST, BLOCK_SIZE, PARALLEL = 2**15, 8, 1  # scrypt's n, r, p: 32 MB and about 0.1 s a try
SALT_BYTES, DIGEST_BYTES = 16, 32
MIN_CHARACTERS, MAX_CHARACTERS = 12, 1024


@dataclass(frozen=True)
class PasswordDigest:
    """salt, digest: hexadecimal. cost, block_size, parallel: what scrypt was run with."""

    salt: str
    digest: str
    cost: int
    block_size: int
    parallel: int

    def matches(self, password: str) -> bool:
        """Whether it is this password; takes as long for a wrong one."""
        found = _scrypt(password, bytes.fromhex(self.salt), self.cost, self.block_size, self.parallel)
        return hmac.compare_digest(found, bytes.fromhex(self.digest))


def digest_password(password: str) -> PasswordDigest:
    """A digest with a salt of its own.

    Source: RFC 7914.

    Raises:
        BadInputError: fewer than 12 characters, or more than 1024.
    """
    if not MIN_CHARACTERS <= len(password) <= MAX_CHARACTERS:
        raise BadInputError(
            f"A password of {len(password)} characters is refused.",
            repair=f"Use {MIN_CHARACTERS} to {MAX_CHARACTERS}: a few words that belong together for you alone.",
        )
    salt = os.urandom(SALT_BYTES)
    digest = _scrypt(password, salt, COST, BLOCK_SIZE, PARALLEL)
    return PasswordDigest(salt.hex(), digest.hex(), COST, BLOCK_SIZE, PARALLEL)


def waste_a_try(password: str) -> None:
    """Take as long as a comparison does, for a name that nobody has."""
    PasswordDigest("00" * SALT_BYTES, "00" * DIGEST_BYTES, COST, BLOCK_SIZE, PARALLEL).matches(password)


def _scrypt(password: str, salt: bytes, cost: int, block_size: int, parallel: int) -> bytes:
    # The same letters typed on another keyboard may be other code points.
    text = unicodedata.normalize("NFKC", password[:MAX_CHARACTERS]).encode()
    memory = 256 * cost * block_size
    return hashlib.scrypt(text, salt=salt, n=cost, r=block_size, p=parallel, maxmem=memory, dklen=DIGEST_BYTES)
