"""The table of roles knows every RPC of the contract."""

import importlib
import pkgutil

import pytest

import bashu.v1
from bashu.v1 import common_pb2
from core.errors import BashuError, Reason
from gateway.identity.model import Role
from gateway.identity.roles import ALLOWED, require_role


def contract_methods():
    for module in pkgutil.iter_modules(bashu.v1.__path__):
        if module.name.endswith("_pb2"):
            descriptor = importlib.import_module(f"bashu.v1.{module.name}").DESCRIPTOR
            for service in descriptor.services_by_name.values():
                yield from (f"/{service.full_name}/{method.name}" for method in service.methods)


def test_every_rpc_of_every_service_is_in_the_table_and_nothing_else():
    assert set(contract_methods()) == set(ALLOWED)


def test_every_rpc_has_someone_who_may_call_it():
    assert all(ALLOWED.values())


def test_roles_equal_those_of_the_contract():
    names = {name.removeprefix("ROLE_") for name in common_pb2.Role.DESCRIPTOR.values_by_name} - {"UNSPECIFIED"}
    assert names == {role.value for role in Role}


def test_a_role_outside_the_table_is_refused():
    with pytest.raises(BashuError) as caught:
        require_role("/bashu.v1.CreditService/QueryCredit", Role.GATEWAY_ADMIN)
    assert caught.value.reason is Reason.ROLE_NOT_ALLOWED


def test_an_unknown_method_is_nobodys():
    with pytest.raises(BashuError) as caught:
        require_role("/bashu.v1.CreditService/Invented", Role.LENDER)
    assert caught.value.reason is Reason.ROLE_NOT_ALLOWED


@pytest.mark.parametrize("rpc", ["RegisterParticipant", "RevokeKey", "SetQuota"])
def test_a_gateway_admin_manages_participants(rpc):
    require_role(f"/bashu.v1.AdminService/{rpc}", Role.GATEWAY_ADMIN)


def test_a_gateway_admin_sees_no_data_and_no_consents():
    reach = {method for method, roles in ALLOWED.items() if Role.GATEWAY_ADMIN in roles}
    assert not {m for m in reach if any(s in m for s in ("CreditService", "ConsentService", "SubjectService"))}


def test_an_auditor_changes_nothing():
    reads = ("Get", "List", "Search", "Trace", "Explain", "Export", "Run", "Report", "Translate")
    reach = {method.rsplit("/", 1)[1] for method, roles in ALLOWED.items() if Role.AUDITOR in roles}
    assert all(rpc.startswith(reads) for rpc in reach)
