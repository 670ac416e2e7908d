"""What one wrong request is made with: consents of every kind, connections of every participant."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from google.protobuf.message import Message

from bashu.errors import BashuCallError
from bashu.profiles import Profile
from bashu.v1 import admin_pb2, common_pb2, consent_pb2, credit_pb2, ledger_pb2
from core.jws import public_jwk
from gateway.certificates import DevAuthority, signing_key
from loadtest.agent import agent_profile
from loadtest.authority import Grant, SigningAuthority
from loadtest.observation import until
from loadtest.questions import Wire, question
from loadtest.stack import Stack

SUBJECT: Final = "91500105XXTT00018M"
OTHER_SUBJECT: Final = "91510107XXTT00026H"
SLOW_SUBJECT: Final = "91510107XXTT00085L"
"""Its sichuan module of social insurance never answers (docs/platforms/subjects.md)."""
SLOW_ITEM: Final = "social_insurance_payment"
ITEM: Final = "enterprise_registration"
LENDER: Final = "bank-cq"
STATE_WITHIN_S: Final = 20.0

Call = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One wrong request, ready to be made; ``request`` is the question where it is one.

    ``unread_from``: institution of a caller that is refused before its request is read, so that nothing of the
    request is in the entry.
    """

    call: Call
    request: credit_pb2.QueryCreditRequest | None = None
    unread_from: str = ""


class World:
    """The dev stack as the cases use it."""

    def __init__(self, stack: Stack) -> None:
        self.stack: Final = stack
        self.authority: Final = SigningAuthority(stack.authorities["authority-cq"])
        self._wires: dict[str, Wire] = {}
        self._under_way: set[asyncio.Task[object]] = set()

    async def close(self) -> None:
        """End what is under way and close every connection."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await asyncio.gather(*(wire.close() for wire in self._wires.values()))

    def profile(self, participant: str = LENDER) -> Profile:
        """Return how a participant of the dev stack authenticates."""
        return Profile.of_dev_stack(self.stack.state, participant)

    def wire(self, participant: str = LENDER) -> Wire:
        """Return a participant's connection."""
        return self.wire_of(participant, self.profile(participant))

    def agent(self, code: str) -> Wire:
        """Return the portal's connection as it speaks for one subject."""
        return self.wire_of(f"agent of {code}", agent_profile(self.stack, code))

    def wire_of(self, name: str, profile: Profile, *, bearer: str | None = None) -> Wire:
        """Return the connection kept under ``name``, made with ``profile`` where there is none."""
        if name not in self._wires:
            self._wires[name] = Wire(profile, bearer=bearer)
        return self._wires[name]

    async def grant(self, code: str = SUBJECT, *, lender: str = LENDER, **terms: Any) -> str:
        """Have a consent signed and registered by its lender; return its id."""
        grant = Grant(**{"institution": lender, "identifier": code, "items": (ITEM,), **terms})
        await self.register(self.authority.sign(grant), lender=lender)
        return str(grant.consent_id)

    async def register(self, artefact: bytes, *, lender: str = LENDER) -> None:
        """Register a signed artefact."""
        wire = self.wire(lender) if lender in self.stack.participants else self._wires[lender]
        await wire.call(wire.consent.RegisterConsent, consent_pb2.RegisterConsentRequest(artefact=artefact))

    async def revoke(self, consent_id: str, *, expected_revision: int = 0) -> None:
        """Take a consent back as its authority."""
        wire = self.wire("authority-cq")
        request = consent_pb2.RevokeConsentRequest(
            consent_id=consent_id, reason="SUBJECT_REQUEST", expected_revision=expected_revision
        )
        await wire.call(wire.consent.RevokeConsent, request)

    async def wait_for_state(self, consent_id: str, state: consent_pb2.ConsentState.ValueType) -> None:
        """Wait until the gateway says that the consent is in ``state``."""
        wire, request = self.wire(), consent_pb2.GetConsentRequest(consent_id=consent_id)

        async def is_reached() -> bool:
            return (await wire.call(wire.consent.GetConsent, request)).consent.state == state

        await until(is_reached, within_s=STATE_WITHIN_S, what=consent_pb2.ConsentState.Name(state))

    def ask(self, consent_id: str, code: str = SUBJECT, *, wire: Wire | None = None, **fields: Any) -> Attempt:
        """Prepare a question of bank-cq, or of whoever ``wire`` is."""
        return self.send(question(code, consent_id, **fields), wire=wire)

    def send(self, request: credit_pb2.QueryCreditRequest, *, wire: Wire | None = None) -> Attempt:
        """Prepare a given question."""
        asker = wire or self.wire()
        return Attempt(call=lambda: asker.query(request), request=request)

    def register_wrong(self, artefact: bytes) -> Attempt:
        """Prepare the registration of an artefact that must be refused."""
        return Attempt(call=lambda: self.register(artefact))

    def start(self, call: Call) -> None:
        """Make a call beside the case; how it ends does not matter to it."""
        task: asyncio.Task[object] = asyncio.ensure_future(call())
        self._under_way.add(task)
        task.add_done_callback(lambda done: done.exception() if not done.cancelled() else None)

    async def newcomer(self, name: str = "bank-new") -> Wire:
        """Register a lender that no platform has admitted yet, with key, certificate and first staff number."""
        ca = self.stack.ca
        assert ca is not None
        pair, key_file = DevAuthority(ca.parent).client(name), self.stack.state / "keys" / f"{name}.pem"
        key = admin_pb2.PublicKey(kid=f"{name}-1", jwk=json.dumps(public_jwk(signing_key(key_file))), alg="ES256")
        participant = admin_pb2.Participant(
            participant_id=name,
            institution=name,
            institution_kind="bank",
            name="示例新银行",
            role=common_pb2.ROLE_LENDER,
            keys=[key],
            certificate_thumbprints=[pair.thumbprint],
        )
        await self.administer("RegisterParticipant", admin_pb2.RegisterParticipantRequest(participant=participant))
        staff = admin_pb2.RegisterStaffRequest(institution=name, staff_number="0001", name="示例员工", kind="query")
        await self.administer("RegisterStaff", staff)
        profile = replace(
            self.profile(),
            participant=name,
            kid=key.kid,
            private_key=key_file,
            certificate=pair.certificate,
            certificate_key=pair.key,
            operator="0001",
        )
        wire = self.wire_of(name, profile)

        async def is_known() -> bool:
            try:
                await wire.call(wire.ledger.GetCheckpoint, ledger_pb2.GetCheckpointRequest())
            except BashuCallError:
                return False
            return True

        await until(is_known, within_s=STATE_WITHIN_S, what="the registry to reach the workers")
        return wire

    async def set_policy(self, rules: Sequence[Mapping[str, object]]) -> None:
        """Put the operator's policy limits in force; again the same changes nothing."""
        admin = self.wire("admin-1")
        standing = await admin.call(admin.admin.GetPolicy, admin_pb2.GetPolicyRequest())
        table = json.dumps({"rules": list(rules)}).encode()
        request = admin_pb2.SetPolicyRequest(table=table, replaces_version=standing.policy_version)
        await self.administer("SetPolicy", request)

    async def administer(self, rpc: str, request: Message, *, participant: str = "admin-1") -> None:
        """Call an RPC of AdminService."""
        wire = self.wire(participant)
        await wire.call(getattr(wire.admin, rpc), request)
