"""Bearer tokens and what they may do.

The token file is TOML:

    [[tokens]]
    name = "dashboards"          # for the log
    role = "read"                # read, write or admin; each may do what the ones before it may
    token = "a long random text" # or: sha256 = "its SHA-256 in hex", to keep the file free of secrets

Only digests are kept in memory, and a presented token is compared with all of them in constant time.
"""

from __future__ import annotations

import hashlib
import hmac
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

from tesseract_grpc.server.config import ConfigError

SHORTEST_TOKEN = 16
"""The shortest token, in characters: a shorter one can be guessed."""


class Role(IntEnum):
    """What a caller may do; a higher role may do all that a lower one may."""

    READ = 1
    WRITE = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls."""

    name: str
    role: Role


EVERYBODY = Principal("anonymous", Role.ADMIN)
"""The caller of a server without tokens."""


class TokenTable:
    """The tokens of a server."""

    def __init__(self, entries: Iterable[tuple[bytes, Principal]]) -> None:
        self._entries = tuple(entries)

    def find(self, token: str) -> Principal | None:
        """The principal of a token, in time that does not depend on how much of it is right. O(tokens)."""
        digest = hashlib.sha256(token.encode()).digest()
        found: Principal | None = None
        for known, principal in self._entries:
            if hmac.compare_digest(known, digest):
                found = principal
        return found

    def __len__(self) -> int:
        return len(self._entries)


def read_tokens(path: Path) -> TokenTable:
    """The tokens in a file. Raises ConfigError; its message never holds a token."""
    try:
        content = tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"option 'token_file': cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise ConfigError(f"option 'token_file': {path} is not TOML") from None
    if set(content) != {"tokens"} or not isinstance(content["tokens"], list) or not content["tokens"]:
        raise ConfigError(f"option 'token_file': {path} must hold [[tokens]] entries and nothing else")
    entries = [_entry(entry, f"{path}, entry {number}") for number, entry in enumerate(content["tokens"], 1)]
    if len({digest for digest, _ in entries}) != len(entries):
        raise ConfigError(f"option 'token_file': {path} has one token twice")
    return TokenTable(entries)


def _entry(entry: Any, where: str) -> tuple[bytes, Principal]:
    if not isinstance(entry, dict) or not set(entry) <= {"name", "role", "token", "sha256"}:
        raise ConfigError(f"{where}: an entry has name, role and either token or sha256")
    role = str(entry.get("role", "")).upper()
    if role not in Role.__members__:
        raise ConfigError(f"{where}: role must be read, write or admin")
    if ("token" in entry) == ("sha256" in entry):
        raise ConfigError(f"{where}: give either token or sha256")
    principal = Principal(str(entry.get("name", role.lower())), Role[role])
    if "token" in entry:
        if len(str(entry["token"])) < SHORTEST_TOKEN:
            raise ConfigError(f"{where}: a token has at least {SHORTEST_TOKEN} characters")
        return hashlib.sha256(str(entry["token"]).encode()).digest(), principal
    try:
        digest = bytes.fromhex(str(entry["sha256"]))
    except ValueError:
        digest = b""
    if len(digest) != hashlib.sha256().digest_size:
        raise ConfigError(f"{where}: sha256 is 64 hexadecimal digits")
    return digest, principal
