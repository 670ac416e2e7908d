"""What the dev stack keeps in its state folder: keys, DSNs, settings; made once, secrets with mode 0600."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from database.embedded import EmbeddedPostgres
from database.roles import KEYS_DATABASE
from gateway.certificates import DevAuthority, KeyPair, write_secret
from gateway.dev_registry import DevParticipant, lenders
from ledger.signer import FileSigner, generate_signer, load_signer

ORIGIN: Final = "bashu.example/dev"
AUTHORITIES: Final = ("authority-cq", "authority-sc")
ROLES: Final = ("owner", "gateway", "sealer", "reader")
SANDBOX_CALLER: Final = "SBXGW0001"
"""接入机构代码 of the gateway at the simulated platforms; the common name of its client certificate there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DevState:
    """The folder ``root`` and what is in it."""

    root: Path
    authority: DevAuthority
    signer: FileSigner

    @property
    def settings_file(self) -> Path:
        """The gateway's settings."""
        return self.root / "gateway.toml"

    @property
    def description(self) -> Path:
        """What ``dev.json`` is called; it exists while everything answers."""
        return self.root / "dev.json"

    @property
    def draft(self) -> Path:
        """The description while the stack still does what it does before it is handed over."""
        return self.root / "run" / "dev.json"

    @property
    def run(self) -> Path:
        """Ready files of the workers."""
        return self.root / "run"

    @property
    def sandbox(self) -> Path:
        """The sandbox's own state."""
        return self.root / "sandbox"

    def secret(self, name: str) -> Path:
        """The file of a symmetric key (32 bytes), made where missing."""
        path = self.root / "keys" / f"{name}.key"
        if not path.exists():
            write_secret(path, secrets.token_hex(32).encode())
        return path

    def commitment_key(self, authority: str) -> Path:
        """The commitment key of a consent authority; authority and gateway share it, PostgreSQL never sees it."""
        return self.secret(f"commitment-{authority}")

    def dsn_file(self, role: str) -> Path:
        """The file with a role's DSN."""
        return self.root / "dsn" / role


def open_state(root: Path) -> DevState:
    """Open the state folder, making what is missing."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    signing_key = root / "keys" / "ledger.pem"
    signing_key.parent.mkdir(mode=0o700, exist_ok=True)
    make = load_signer if signing_key.exists() else generate_signer
    return DevState(root=root, authority=DevAuthority(root / "keys" / "tls"), signer=make(signing_key, name=ORIGIN))


def write_dsns(state: DevState, postgres: EmbeddedPostgres) -> None:
    """Write each role's DSN; the port may differ from the last start's."""
    for role in ROLES:
        write_secret(state.dsn_file(role), postgres.dsn(f"bashu_{role}").encode())
    for role in ("keeper", "owner"):
        write_secret(state.dsn_file(f"keys-{role}"), postgres.dsn(f"bashu_{role}", KEYS_DATABASE).encode())


UNLIMITED: Final = {
    "chongqing": ("submits_per_s", "polls_per_s", "daily_quota"),
    "sichuan": ("requests_per_s", "daily_quota"),
}
"""Options that are 0 where a platform keeps no limit itself."""


SLOW_IN_FLIGHT: Final = 256
"""Of platforms that take their time: at 20 questions a second sichuan's reports, 5 s each, are 100 at once."""


def write_settings(
    state: DevState,
    *,
    sandbox: dict[str, Any],
    plaintext: bool,
    persons: bool,
    workers: int,
    witness: dict[str, str] | None = None,
    is_instant: bool = True,
) -> None:
    """Write ``gateway.toml`` for this start: everything a real gateway is told, with the sandbox as its platforms.

    ``witness``: name, url and vkey of a simulated one, None for none. ``is_instant``: the platforms keep no limits, so
    the gateway need not either; it would only measure itself.
    """
    server = state.authority.server()
    client = state.authority.client(SANDBOX_CALLER)
    tables: dict[str, Any] = {
        "": {"region": "CN", "profile": "dev", "persons": persons},
        "operator": {"name": "沙箱网关运营方 sandbox operator", "uscc": "91500000XXTT000003"},
        "operator.licence": _licence(persons=persons),
        "server": {
            "workers": workers,
            "admin_port": 0,
            **(
                {}
                if plaintext
                else {
                    "certificate": str(server.certificate),
                    "certificate_key": str(server.key),
                    "client_ca": str(state.authority.certificate),
                }
            ),
        },
        "database": {
            "dsn_file": str(state.dsn_file("gateway")),
            **{f"{role}_dsn_file": str(state.dsn_file(role)) for role in ("owner", "sealer", "reader")},
        },
        "ledger": {
            "origin": ORIGIN,
            "signing_key": str(state.root / "keys" / "ledger.pem"),
            "highwater": str(state.root / "ledger.highwater"),
            **({} if witness is None else {"quorum": 1}),
        },
        # A table of an array: TOML writes it with two brackets.
        **({} if witness is None else {"[ledger.witnesses]": witness}),
        "keys": {name: str(state.secret(name)) for name in ("name_seal", "operator_commitment", "subject_commitment")},
        "vault": {
            "dsn_file": str(state.dsn_file("keys-keeper")),
            "owner_dsn_file": str(state.dsn_file("keys-owner")),
            "wrapping_key": str(state.secret("wrapping")),
        },
        # A portal of the sandbox: nobody answers there, its agent decides over gRPC.
        "consent": {"decision_url": "https://portal.invalid/consents"},
        **{
            # A lender's own letters name the borrower under a key that an authority lent it.
            f"keys.commitments.{commitment_kid(name)}": {
                "file": str(state.commitment_key(name)),
                "holders": [name, *lenders()],
            }
            for name in AUTHORITIES
        },
    }
    for platform, region, name_zh in (("chongqing", "500000", "模拟平台重庆"), ("sichuan", "510000", "模拟平台四川")):
        given = _platform_tables(state, sandbox, client, platform, region, name_zh, persons=persons)
        given[f"platforms.{platform}.options"] |= (
            dict.fromkeys(UNLIMITED[platform], 0) if is_instant else {"in_flight": SLOW_IN_FLIGHT}
        )
        tables |= given
    write_secret(state.settings_file, _toml(tables).encode())


def _platform_tables(  # noqa: PLR0917 - one row of a table
    state: DevState,
    sandbox: dict[str, Any],
    client: KeyPair,
    platform: str,
    region: str,
    name_zh: str,
    *,
    persons: bool,
) -> dict[str, Any]:
    given = _access(state, sandbox, platform)
    return {
        f"platforms.{platform}": {
            "adapter": platform,
            "url": sandbox["platforms"][platform],
            "region": region,
            "platform_kind": "REGIONAL_CREDIT_PLATFORM",
            "name_zh": name_zh,
            "name_en": f"simulated platform {platform}",
            "agreement_id": f"SANDBOX-AGREEMENT-{platform}",
            "pia_id": f"SANDBOX-PIA-{platform}",
        },
        f"platforms.{platform}.licence": _licence(persons=persons),
        f"platforms.{platform}.secrets": {
            "ca": str(state.authority.certificate),
            "certificate": str(client.certificate),
            "certificate_key": str(client.key),
            **given["secrets"],
        },
        f"platforms.{platform}.options": given["options"],
    }


def _access(state: DevState, sandbox: dict[str, Any], platform: str) -> dict[str, Any]:
    """Return how the gateway is known to a platform: secrets as files, single values as options."""
    credentials = sandbox["credentials"]
    if platform == "chongqing":
        login = json.loads(Path(credentials["chongqing"]).read_text())
        secret = state.root / "keys" / "chongqing.hmac"
        write_secret(secret, login["secret"].encode())
        return {
            "secrets": {"hmac_key": str(secret), "qm_keys": sandbox["chongqing_keys"]},
            "options": {"caller_code": login["jgdm"]},
        }
    return {
        "secrets": {"credentials": credentials["sichuan"], "private_key": credentials["sichuan_private_key"]},
        "options": {"key_id": "sc-env-1"},
    }


def describe(
    state: DevState,
    *,
    file: Path,
    grpc_address: str,
    tiles: str,
    postgres_dsn: str,
    pids: dict[str, Any],
    participants: list[DevParticipant],
    sandbox: dict[str, Any],
    plaintext: bool,
) -> None:
    """Write what ``dev.json`` says to ``file``, and the log's verifier key beside it."""
    # Every key of the log that lies there, the first's first: a restart after a succession shows both.
    vkeys = [state.signer.vkey, *log_vkeys(state)]
    (state.root / "ledger.vkey").write_text("\n".join(vkeys) + "\n")
    members = {
        member.participant.participant_id: {
            "role": member.participant.role.value,
            "private_key": str(member.key_file),
            "kid": member.kid,
            "certificate": str(member.certificate.certificate),
            "certificate_key": str(member.certificate.key),
            "staff": list(member.staff),
        }
        for member in participants
    }
    described = {
        "grpc": grpc_address,
        "tiles": tiles,
        "console": None,
        "postgres": postgres_dsn,
        "ca": None if plaintext else str(state.authority.certificate),
        "ledger_vkey": state.signer.vkey,
        "ledger_vkeys": vkeys,
        "pids": pids,
        "participants": members,
        "consent_authorities": {
            name: {
                "private_key": members[name]["private_key"],
                "kid": members[name]["kid"],
                "commitment_key": str(state.commitment_key(name)),
                "commitment_kid": commitment_kid(name),
            }
            for name in AUTHORITIES
        },
        "platforms": sandbox["platforms"],
        "sandbox_control": sandbox["control"],
    }
    write_secret(file, json.dumps(described, indent=1, ensure_ascii=False).encode() + b"\n")


def log_vkeys(state: DevState) -> list[str]:
    """Return the verifier keys of the successors that `bashu-gateway keys add` made."""
    files = sorted((state.root / "keys").glob("ledger-????????.pem"))
    return [load_signer(file, name=ORIGIN).vkey for file in files]


def commitment_kid(authority: str) -> str:
    """Return the id of an authority's commitment key in the dev stack."""
    return f"{authority}-c1"


def _licence(*, persons: bool) -> dict[str, str]:
    return {
        "kind": "PERSONAL_CREDIT_LICENCE" if persons else "ENTERPRISE_CREDIT_FILING",
        "number": "SANDBOX LICENCE 沙箱许可",
        "authority": "sandbox",
        "valid_from": "2026-01-01",
    }


def _toml(tables: dict[str, Any]) -> str:
    """Write flat tables of text, numbers, booleans and lists of text; JSON's literals are TOML's for these."""
    lines = ["# Written by `bashu-gateway dev` at each start.", ""]
    for name, values in tables.items():
        if name:
            lines.append(f"[{name}]")
        lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
        lines.append("")
    return "\n".join(lines)
