"""What the settings say, as the values that the gateway's parts are made of: keys, licences, working days."""

from __future__ import annotations

from pathlib import Path

from bashu.v1.common_pb2 import GatewayOperator
from bashu.v1.common_pb2 import Licence as LicenceMessage
from consent.evidence import WorkingDays
from consent.witnessing import WitnessBudgets
from database import Database
from gateway.identity.model import Licence
from gateway.pseudonyms import Pseudonyms
from gateway.settings import LicenceSettings, Settings, SettingsError, read_secret
from gateway.vault.service import Vault
from gateway.witness.model import Witness
from ledger.witness.cosignature import parse_witness_vkey


def open_vault(settings: Settings, keys: Database) -> Vault:
    """Return the vault over ``keys`` with the wrapping keys that the settings name."""
    return Vault(
        keys,
        wrapping_key=key_file(settings.vault.wrapping_key, "vault.wrapping_key"),
        owner_key=key(settings.keys.subject_commitment, "subject_commitment"),
        previous=[key_file(path, "vault.previous_wrapping_keys") for path in settings.vault.previous_wrapping_keys],
    )


def working_days(settings: Settings) -> WorkingDays:
    """Return the calendar that clocks of working days run by."""
    told = settings.consent
    return WorkingDays(holidays=frozenset(told.holidays), worked=frozenset(told.worked_weekends))


def witnesses(settings: Settings) -> tuple[Witness, ...]:
    """Return the outside witnesses, none where the settings name none."""
    return tuple(
        Witness(key=parse_witness_vkey(told.vkey), url=told.url, ca=told.ca, monitoring_url=told.monitoring_url)
        for told in settings.ledger.witnesses
    )


def witness_budgets(settings: Settings) -> WitnessBudgets | None:
    """Return what the age of the witnesses' last quorum means for admissions; None without witnesses."""
    told = settings.ledger.witness_budgets
    if not settings.ledger.witnesses:
        return None
    return WitnessBudgets(warn_s=told.warn_s, refuse_persons_s=told.refuse_persons_s, refuse_all_s=told.refuse_all_s)


def pseudonyms(settings: Settings) -> Pseudonyms:
    """Return what names subjects and staff without saying who they are; raises SettingsError for a key that is none."""
    keys = settings.keys
    commitments = {
        kid: read_secret(lent.file, setting=f"keys.commitments.{kid}") for kid, lent in keys.commitments.items()
    }
    return Pseudonyms(
        key(keys.subject_commitment, "subject_commitment"),
        commitments,
        operator_key=key(keys.operator_commitment, "operator_commitment"),
    )


def commitment_holders(settings: Settings) -> dict[str, frozenset[str]]:
    """Return whom each commitment key was lent to: participant ids by ``commitment_kid``."""
    return {kid: frozenset(lent.holders) for kid, lent in settings.keys.commitments.items()}


def key(path: Path, name: str) -> bytes:
    """Read a symmetric key of ``[keys]``: 32 bytes as 64 hex digits."""
    return key_file(path, f"keys.{name}")


def key_file(path: Path, setting: str) -> bytes:
    """Read a symmetric key in hex digits; ``setting`` names it in the SettingsError."""
    try:
        return bytes.fromhex(read_secret(path, setting=setting).decode())
    except ValueError:
        # Without its cause, which would quote the key.
        raise SettingsError(f"{setting}: the file {path} does not hold a key in hex digits") from None


def operator(settings: Settings) -> GatewayOperator:
    """Return the operator as every report names it."""
    if settings.operator is None:
        return GatewayOperator(sandbox_licence=True)
    message = GatewayOperator(
        name=settings.operator.name, uscc=settings.operator.uscc, sandbox_licence=settings.profile == "dev"
    )
    licence = settings.operator.licence
    if licence is not None:
        message.licence.CopyFrom(
            LicenceMessage(
                kind=licence.kind,
                number=licence.number,
                authority=licence.authority,
                valid_from=licence.valid_from.isoformat(),
                valid_to=licence.valid_to.isoformat() if licence.valid_to else "",
            )
        )
    return message


def operator_licences(settings: Settings) -> tuple[Licence, ...]:
    """Return the operator's licences, none where the settings name none."""
    if settings.operator is None or settings.operator.licence is None:
        return ()
    return (licence_value(settings.operator.licence),)


def licence_value(licence: LicenceSettings) -> Licence:
    """Return a licence of the settings as the registry's value."""
    return Licence(
        kind=licence.kind,
        number=licence.number,
        authority=licence.authority,
        valid_from=licence.valid_from,
        valid_to=licence.valid_to,
    )
