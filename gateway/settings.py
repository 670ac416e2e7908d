"""Settings of a gateway: one TOML file, single values overridden by ``BASHU_…`` in the environment.

``BASHU_SERVER__PORT=7443`` overrides ``[server] port``. Secrets are named by the path of their file, never given.
An unknown key is refused, so that a misspelt one cannot leave a default standing.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from consent.witnessing import REFUSE_ALL_S, REFUSE_PERSONS_S, WARN_S
from ledger.note import NoteError
from ledger.witness.cosignature import parse_witness_vkey

PREFIX: Final = "BASHU_"
FILE_VARIABLE: Final = "BASHU_SETTINGS"
_NOT_SETTINGS: Final = frozenset({FILE_VARIABLE, "BASHU_PARENT_PID", "BASHU_REQUIRE_NODE", "BASHU_VECTORS"})
_CLIENT_PREFIX: Final = "BASHU_CLIENT_"
"""Variables of the prefix that are read elsewhere: by a start, the test suite, and `bashu`."""

_BASE: Final[ContextVar[Path]] = ContextVar("bashu_settings_folder")
FilePath = Annotated[Path, AfterValidator(lambda path: _BASE.get(Path()) / path)]
"""A path; one that is relative in the file is relative to the file."""
Port = Annotated[int, Field(ge=0, le=65535)]
Text = Annotated[str, Field(min_length=1, max_length=200)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class SettingsError(Exception):
    """The settings cannot be used; the message names file, key and rule, never a value."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class LicenceSettings(_Section):
    """A licence (许可或备案); kinds are those of ``licence_kinds.csv``. Both days inside."""

    kind: Literal["PERSONAL_CREDIT_LICENCE", "ENTERPRISE_CREDIT_FILING", "RATING_FILING", "PUBLIC_FINANCING_PLATFORM"]
    number: Text
    authority: Text
    valid_from: date
    valid_to: date | None = None


class OperatorSettings(_Section):
    """The party that runs the gateway; printed in every report."""

    name: Text
    uscc: Annotated[str, Field(pattern=r"^[0-9A-Z]{18}$")]
    licence: LicenceSettings | None = None


class ServerSettings(_Section):
    """The gRPC edge. Without certificate it speaks plaintext, which is for measurements on loopback alone.

    Deadlines are those a call gets when its client gives none, and the longest that counts; a stream of queries lives
    ``max_stream_s`` at most. ``max_concurrent`` calls and queries run at a time in a worker, more are OVERLOADED,
    as are those of one institution beyond three quarters of them; ``max_streams`` alike.
    ``http_port`` (none: off) serves the log's checkpoint, tiles and entry bundles, with the same TLS.
    """

    host: Text = "127.0.0.1"
    port: Port = 7443
    admin_port: Port | None = None
    http_port: Port | None = None
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    certificate: FilePath | None = None
    certificate_key: FilePath | None = None
    client_ca: FilePath | None = None
    audience: Text = "bashu-gateway"
    default_deadline_s: Seconds = 30.0
    max_deadline_s: Annotated[float, Field(gt=0, le=60)] = 60.0
    max_stream_s: Seconds = 3600.0
    max_concurrent: Annotated[int, Field(ge=1, le=100_000)] = 341
    max_streams: Annotated[int, Field(ge=1, le=100_000)] = 256
    max_request_bytes: Annotated[int, Field(ge=4096, le=64 * 1024 * 1024)] = 4 * 1024 * 1024
    max_response_bytes: Annotated[int, Field(ge=4096, le=64 * 1024 * 1024)] = 16 * 1024 * 1024
    drain_s: Seconds = 10.0

    @property
    def speaks_tls(self) -> bool:
        """Tell whether calls are encrypted and clients show certificates."""
        return self.certificate is not None

    @model_validator(mode="after")
    def _whole_or_local(self) -> Self:
        files = (self.certificate, self.certificate_key, self.client_ca)
        if any(files) and not all(files):
            raise ValueError("certificate, certificate_key and client_ca go together: TLS here is mutual")
        if not any(files) and self.host not in LOOPBACK:
            raise ValueError("without certificate the gateway listens on loopback only")
        if self.default_deadline_s > self.max_deadline_s:
            raise ValueError("default_deadline_s is over max_deadline_s")
        return self


class DatabaseSettings(_Section):
    """PostgreSQL. Each DSN is the content of a file; a process reads only its own role's."""

    dsn_file: FilePath
    owner_dsn_file: FilePath | None = None
    sealer_dsn_file: FilePath | None = None
    reader_dsn_file: FilePath | None = None
    min_connections: Annotated[int, Field(ge=1, le=100)] = 2
    max_connections: Annotated[int, Field(ge=1, le=100)] = 8


class WitnessSettings(_Section):
    """An outside witness of the log (C2SP tlog-witness). ``vkey``: its verifier key, of signature type 0x04.

    ``name``: the one inside the vkey. ``url``: its submission prefix, ``monitoring_url`` the other where it has two;
    plain http on loopback alone. ``ca``: a PEM file where its certificate is not of a public authority.
    """

    name: Annotated[str, Field(pattern=r"^[^\s+]+$", max_length=200)]
    url: Annotated[str, Field(pattern=r"^https?://[^\s@?#]+$", max_length=500)]
    vkey: Annotated[str, Field(max_length=400)]
    ca: FilePath | None = None
    monitoring_url: Annotated[str, Field(pattern=r"^https?://[^\s@?#]+$", max_length=500)] | None = None

    @model_validator(mode="after")
    def _is_a_witness(self) -> Self:
        try:
            key = parse_witness_vkey(self.vkey)
        except NoteError as error:
            raise ValueError(str(error)) from None
        if key.name != self.name:
            raise ValueError("name is not the one inside vkey")
        for url in map(urlsplit, filter(None, (self.url, self.monitoring_url))):
            if url.scheme == "http" and url.hostname not in LOOPBACK:
                raise ValueError("url: plain http is for loopback alone")
        return self


class WitnessBudgets(_Section):
    """How old the last checkpoint that a quorum of witnesses cosigned may be; shorter than here, never longer.

    Older, it warns, refuses queries about persons, refuses all.
    """

    warn_s: Annotated[float, Field(gt=0, le=WARN_S)] = WARN_S
    refuse_persons_s: Annotated[float, Field(gt=0, le=REFUSE_PERSONS_S)] = REFUSE_PERSONS_S
    refuse_all_s: Annotated[float, Field(gt=0, le=REFUSE_ALL_S)] = REFUSE_ALL_S

    @model_validator(mode="after")
    def _grow(self) -> Self:
        if not self.warn_s <= self.refuse_persons_s <= self.refuse_all_s:
            raise ValueError("warn_s, refuse_persons_s and refuse_all_s grow in this order")
        return self


class LedgerSettings(_Section):
    """The log. ``origin`` names it for ever; ``highwater`` is kept outside the database on purpose.

    ``signing_key``: the key it began with; successors lie beside it (`bashu-gateway keys`). ``overlap_days``: how long
    both sign at least before the older is retired; a working value, time for every client to pin the new one.
    ``stale_s``: with a sealer silent, or an entry waiting, for longer, admissions are refused (EVIDENCE_STALE). Half of
    what receipts promise at most; a living sealer shows itself each second.
    ``witnesses``: outside witnesses (none: off); ``quorum``: how many of them have to cosign a checkpoint.
    """

    origin: Annotated[str, Field(pattern=r"^[a-z0-9.-]+(/[a-z0-9._-]+)*$", max_length=100)]
    signing_key: FilePath
    highwater: FilePath
    overlap_days: Annotated[int, Field(ge=1, le=730)] = 30
    stale_s: Annotated[float, Field(ge=2, le=30)] = 30.0
    witnesses: Annotated[list[WitnessSettings], Field(max_length=32)] = Field(default_factory=list)
    quorum: Annotated[int, Field(ge=1)] | None = None
    witness_budgets: WitnessBudgets = Field(default_factory=WitnessBudgets)

    @model_validator(mode="after")
    def _has_a_quorum(self) -> Self:
        if bool(self.witnesses) != (self.quorum is not None):
            raise ValueError("witnesses and quorum go together")
        if self.quorum is not None and self.quorum > len(self.witnesses):
            raise ValueError("quorum is over the number of witnesses")
        keys = {parse_witness_vkey(witness.vkey).public_key for witness in self.witnesses}
        if len({witness.name for witness in self.witnesses}) != len(self.witnesses) or len(keys) != len(self.witnesses):
            # C2SP tlog-cosignature: what is signed does not name the witness, so one key would count twice.
            raise ValueError("two witnesses have one name or one key")
        return self


class PlatformSettings(_Section):
    """One platform: which adapter speaks to it, where, under which agreement (R44) and licence.

    ``secrets`` are paths by name, ``options`` single values; which ones an adapter takes it says itself.
    ``hosted_in`` is always CN: credit information stays in the country (R36, 征信业管理条例 Art. 24).
    """

    adapter: Text
    url: Annotated[str, Field(pattern=r"^https?://[^\s@]+$", max_length=500)]
    region: Annotated[str, Field(pattern=r"^[0-9]{6}$")]
    platform_kind: Literal["PUBLIC_FINANCING_PLATFORM", "REGIONAL_CREDIT_PLATFORM"]
    name_zh: Text
    name_en: Text
    agreement_id: Text
    pia_id: Text
    licence: LicenceSettings
    hosted_in: Literal["CN"] = "CN"
    secrets: dict[str, FilePath] = Field(default_factory=dict)
    options: dict[str, str | int | float | bool] = Field(default_factory=dict)


class CommitmentKeySettings(_Section):
    """One key under which artefacts name borrowers, ``{file = "…", holders = ["authority-cq"]}``.

    ``holders``: participant ids of those whom it was lent to: consent authorities, and lenders that attest their own
    letters under it. Nobody else's artefact may name a borrower by it.
    """

    file: FilePath
    holders: Annotated[list[Text], Field(min_length=1)]


class KeySettings(_Section):
    """Keys outside PostgreSQL, each the path of a file.

    ``name_seal``: 32 bytes for names of staff. ``operator_commitment``, ``subject_commitment``: HMAC keys for what
    leaves name by commitment. ``commitments``: the keys of consent authorities by ``commitment_kid``.
    """

    name_seal: FilePath
    operator_commitment: FilePath
    subject_commitment: FilePath
    commitments: dict[str, CommitmentKeySettings] = Field(default_factory=dict)

    @field_validator("commitments", mode="before")
    @classmethod
    def _say_whose(cls, told: object) -> object:
        """Refuse a bare path in words: it was enough until holders were named."""
        bare = sorted(kid for kid, lent in told.items() if isinstance(lent, str)) if isinstance(told, dict) else []
        if bare:
            raise ValueError(
                f'{bare[0]}: {{file = "…", holders = ["…"]}} expected; holders says whom the key was lent to'
            )
        return told


class VaultSettings(_Section):
    """Where the keys of sealed details are: a database of their own, and the key that wraps them, in a file.

    ``wrapping_key``: 32 bytes as 64 hex digits. Lost, it is as if every subject had been erased: keep a copy apart from
    both databases' backups. To rotate it, name the new one here and the old one in ``previous_wrapping_keys``, restart,
    run ``bashu-gateway rewrap``, and only then drop the old one.
    ``backup_days``: how long a backup of the key database is kept at most.
    """

    dsn_file: FilePath
    owner_dsn_file: FilePath | None = None
    wrapping_key: FilePath
    previous_wrapping_keys: list[FilePath] = Field(default_factory=list)
    backup_days: Annotated[int, Field(ge=1, le=90)] = 35


class RetentionSettings(_Section):
    """How long what law wants kept is kept, from the last query about a subject or the end of its credit relation.

    ``years``: 5 by default (log_retention.csv: covers the five years of adverse information, disputes, and the three
    years of 网络数据安全管理条例 Art. 12 and PIPL Art. 56, below which no setting goes).
    """

    years: Annotated[int, Field(ge=3, le=30)] = 5


class ConsentSettings(_Section):
    """Asking borrowers for consents. ``decision_url``: where they decide; the bundle's id is put behind.

    ``decision_hours``: how long a borrower may take; then the request has lapsed. A working value, unverified.
    ``holidays``, ``worked_weekends``: days as 国务院办公厅 names them each year, for clocks that count working days.
    """

    decision_url: Annotated[str, Field(pattern=r"^https?://[^\s@?#]+[^\s@?#/]$", max_length=500)] | None = None
    decision_hours: Annotated[int, Field(ge=1, le=720)] = 72
    holidays: list[date] = Field(default_factory=list)
    worked_weekends: list[date] = Field(default_factory=list)


class StandardSettings(_Section):
    """Tables of the unified standard. ``tables``: a folder whose CSV files stand for shipped ones of the same name."""

    tables: FilePath | None = None


class Settings(_Section):
    """Everything a gateway is told. ``persons`` switches the personal path on, which needs licences besides."""

    region: Literal["CN"]
    profile: Literal["production", "dev"] = "production"
    persons: bool = False
    operator: OperatorSettings | None = None
    server: ServerSettings = Field(default_factory=ServerSettings)
    database: DatabaseSettings
    ledger: LedgerSettings
    keys: KeySettings
    vault: VaultSettings
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    consent: ConsentSettings = Field(default_factory=ConsentSettings)
    standard: StandardSettings = Field(default_factory=StandardSettings)
    platforms: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")], PlatformSettings] = Field(
        default_factory=dict
    )

    @model_validator(mode="after")
    def _is_licensed(self) -> Self:
        if self.profile != "dev" and (self.operator is None or self.operator.licence is None):
            # Rule R73.
            raise ValueError(
                "outside dev the gateway does not start without [operator] name, uscc and licence: 征信业管理条例 "
                "Art. 10 demands the filing (备案) of an enterprise credit institution, Art. 37 fines its absence"
            )
        return self


def load_settings(path: Path, *, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the file, let ``environment`` (the process's where None) override it, and check the whole.

    Raises:
        SettingsError: naming file, key and rule.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not TOML: {error}") from error
    _override(values, os.environ if environment is None else environment)
    base = _BASE.set(path.absolute().parent)
    try:
        return Settings(**values)
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False, include_context=False)
        raise SettingsError("\n".join(_described(path, fault) for fault in faults)) from None
    finally:
        _BASE.reset(base)


def read_secret(path: Path, *, setting: str) -> bytes:
    """Read a secret's file, without a line end after it.

    Raises:
        SettingsError: it cannot be read, is empty, or others than its owner may read it.
    """
    try:
        mode = path.stat().st_mode
        content = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{setting}: the file {path} cannot be read") from error
    if mode & 0o077:
        raise SettingsError(f"{setting}: the file {path} may be read by others than its owner: chmod 600")
    content = content.removesuffix(b"\n").removesuffix(b"\r")
    if not content:
        raise SettingsError(f"{setting}: the file {path} is empty")
    return content


def _override(values: dict[str, Any], environment: Mapping[str, str]) -> None:
    for name, text in environment.items():
        if not name.startswith(PREFIX) or name.startswith(_CLIENT_PREFIX) or name in _NOT_SETTINGS:
            continue
        *sections, key = name.removeprefix(PREFIX).lower().split("__")
        place = values
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise SettingsError(f"{name} in the environment: {section} is no section")
        place[key] = text


def _described(path: Path, fault: Any) -> str:
    key = ".".join(str(part) for part in fault["loc"]) or "the whole file"
    rule = "unknown key" if fault["type"] == "extra_forbidden" else fault["msg"].removeprefix("Value error, ")
    return f"{path}: {key}: {rule}"
