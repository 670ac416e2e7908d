"""Who calls which gateway with which keys: read from ``bashu.toml`` or from a development stack's ``dev.json``."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Self

DEFAULT_AUDIENCE: Final = "bashu-gateway"
_PATHS: Final = frozenset({"private_key", "ca", "certificate", "certificate_key"})


class ProfileError(Exception):
    """The profile cannot be used; the message names the entry, never a key's content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One participant's way to one gateway.

    ``endpoint`` is ``host:port``. Without ``ca`` the connection is not encrypted, which a gateway allows on loopback
    for measurements only. ``operator`` is the staff number (操作员工号) acting. ``vkey`` pins the ledger's key:
    whoever checks receipts has it from outside the gateway; in a profile a text, or a list once the key was succeeded,
    here joined by a space. ``server_name`` is the name in the gateway's
    certificate where it is not the endpoint's host. ``claims`` are further token claims (a SUBJECT_AGENT's ``sbj``,
    ``act``, ``mandate``, ``acr``).
    """

    endpoint: str
    participant: str
    kid: str
    private_key: Path
    ca: Path | None = None
    certificate: Path | None = None
    certificate_key: Path | None = None
    operator: str | None = None
    audience: str = DEFAULT_AUDIENCE
    vkey: str | None = None
    server_name: str | None = None
    claims: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse half a mutual TLS."""
        if len({self.ca is None, self.certificate is None, self.certificate_key is None}) > 1:
            raise ProfileError("ca, certificate and certificate_key go together")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a TOML profile; relative paths are taken from its folder, an unknown entry is refused."""
        try:
            entries = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ProfileError(f"{path}: cannot be read as TOML") from error
        known = {entry.name for entry in fields(cls)}
        required = ("endpoint", "participant", "kid", "private_key")
        for name in sorted(entries.keys() - known):
            raise ProfileError(f"{path}: unknown entry {name}")
        for name in required:
            if name not in entries:
                raise ProfileError(f"{path}: entry {name} is missing")
        if isinstance(entries.get("vkey"), list) and all(isinstance(key, str) for key in entries["vkey"]):
            entries["vkey"] = " ".join(entries["vkey"])
        for name, value in entries.items():
            _require_text(path, name, value)
        return cls(**{name: path.parent / value if name in _PATHS else value for name, value in entries.items()})

    @classmethod
    def of_dev_stack(cls, folder: Path, participant: str, *, operator: str | None = None) -> Self:
        """Take a participant of ``bashu-gateway dev`` from its ``dev.json``; its first staff number acts."""
        path = folder / "dev.json" if folder.is_dir() else folder
        try:
            stack = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ProfileError(f"{path}: is the development stack running?") from error
        entry = stack["participants"].get(participant)
        if entry is None:
            known = ", ".join(sorted(stack["participants"]))
            raise ProfileError(f"{path}: no participant {participant}; there are {known}")
        staff = entry.get("staff") or [None]
        encrypted = stack.get("ca") is not None
        return cls(
            endpoint=stack["grpc"],
            participant=participant,
            kid=entry["kid"],
            private_key=Path(entry["private_key"]),
            ca=Path(stack["ca"]) if encrypted else None,
            certificate=Path(entry["certificate"]) if encrypted else None,
            certificate_key=Path(entry["certificate_key"]) if encrypted else None,
            operator=operator or staff[0],
            audience=stack.get("audience", DEFAULT_AUDIENCE),
            vkey=" ".join(stack.get("ledger_vkeys") or []) or stack.get("ledger_vkey"),
        )


def _require_text(path: Path, name: str, value: Any) -> None:
    if name == "claims":
        if not isinstance(value, dict) or not all(isinstance(claim, str) for claim in value.values()):
            raise ProfileError(f"{path}: claims are text")
    elif not isinstance(value, str) or not value:
        raise ProfileError(f"{path}: {name} is text")
