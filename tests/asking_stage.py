"""A stage for how a lender comes by a consent: real PostgreSQL, a key database, the consent servicer."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from bashu.v1 import consent_pb2
from consent.evidence import WorkingDays
from core.clock import SystemClock
from database import open_database
from gateway.asking.bundles import Bundles
from gateway.asking.evidence import Evidence
from gateway.asking.texts import Texts
from gateway.identity.model import CALLER, Role
from gateway.identity.roles import require_role
from gateway.reviews import Reviews
from gateway.services.asking import Asking
from gateway.services.consent import ConsentServicer
from gateway.vault.service import Vault
from tests.admission_stage import STANDARD, open_stage
from tests.rights_stage import caller

AUTHORITY = caller("authority-cq", Role.CONSENT_AUTHORITY, "authority")
OTHER_BANK = caller("bank-sc", Role.LENDER, operator="op-1")


def asking_of(stage, vault=None):
    texts = Texts(stage.db, entries=stage.entries)
    return Asking(
        bundles=Bundles(
            stage.db, consents=stage.consents, texts=texts, pseudonyms=stage.pseudonyms, lasts=timedelta(hours=72)
        ),
        texts=texts,
        evidence=Evidence(stage.db, vault=vault, entries=stage.entries, days=WorkingDays()),
        registry=stage.registry,
        standard=STANDARD,
        clock=SystemClock(),
        decision_url="https://portal.invalid/consents",
    )


@dataclass
class AskingStage:
    stage: object
    vault: Vault
    servicer: ConsentServicer

    async def call(self, rpc, who, **fields):
        """Call as the edge would: role first, then the servicer."""
        require_role(f"/bashu.v1.ConsentService/{rpc}", who.role)
        CALLER.set(who)
        return await getattr(self.servicer, rpc)(getattr(consent_pb2, f"{rpc}Request")(**fields), None)


@asynccontextmanager
async def open_asking(fresh_database, fresh_keys, folder):
    async with open_stage(fresh_database, folder) as stage:
        keys = await open_database(fresh_keys.dsn("bashu_keeper"), max_size=4)
        try:
            vault = Vault(keys, wrapping_key=bytes(range(32)), owner_key=b"owner-key-not-real")
            servicer = ConsentServicer(
                consents=stage.consents,
                asking=asking_of(stage, vault),
                reviews=Reviews(stage.db, entries=stage.entries),
            )
            yield AskingStage(stage, vault, servicer)
        finally:
            await keys.close()
