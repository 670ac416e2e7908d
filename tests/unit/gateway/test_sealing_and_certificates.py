"""Names open only where they were sealed; what the dev stack's CA writes is its owner's alone."""

import stat

import pytest
from cryptography import x509

from core.jws import KeyRefused
from gateway.certificates import DevAuthority, certificate_thumbprint, signing_key, write_secret
from gateway.identity.model import LICENCE_KINDS
from gateway.identity.sealing import NameSeal, operator_commitment
from gateway.pseudonyms import Pseudonyms
from standards.catalogue import load_standard


def test_a_sealed_name_opens_for_its_own_number():
    seal = NameSeal(b"k" * 32)
    sealed = seal.seal("张样本", institution="bank", staff_number="0001")
    assert seal.open(sealed, institution="bank", staff_number="0001") == "张样本"
    assert "张样本".encode() not in sealed


@pytest.mark.parametrize(
    ("key", "institution", "number"),
    [(b"x" * 32, "bank", "0001"), (b"k" * 32, "bank2", "0001"), (b"k" * 32, "bank", "0002")],
)
def test_a_sealed_name_opens_for_nobody_else(key, institution, number):
    sealed = NameSeal(b"k" * 32).seal("张样本", institution="bank", staff_number="0001")
    with pytest.raises(ValueError, match="does not open"):
        NameSeal(key).open(sealed, institution=institution, staff_number=number)


def test_one_number_of_two_institutions_has_two_commitments():
    assert operator_commitment(b"k", "a", "1") != operator_commitment(b"k", "b", "1")


def test_queries_and_the_registry_name_a_staff_number_alike():
    pseudonyms = Pseudonyms(b"p" * 32, {}, operator_key=b"o" * 32)
    assert pseudonyms.operator("bank", "0001") == operator_commitment(b"o" * 32, "bank", "0001")
    assert pseudonyms.operator("bank", "") is None


def test_every_file_of_the_dev_authority_is_its_owners_alone(tmp_path):
    authority = DevAuthority(tmp_path / "tls")
    authority.server()
    authority.client("bank-cq")
    signing_key(tmp_path / "tls" / "token.pem")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "tls").iterdir()}
    assert len(modes) == 7
    assert set(modes.values()) == {0o600}


def test_a_second_start_keeps_the_same_authority_and_certificates(tmp_path):
    first, second = DevAuthority(tmp_path), DevAuthority(tmp_path)
    assert first.certificate.read_bytes() == second.certificate.read_bytes()
    assert first.client("bank-cq").thumbprint == second.client("bank-cq").thumbprint
    assert first.client("bank-cq").thumbprint != first.client("bank-sc").thumbprint


def test_the_server_certificate_names_loopback(tmp_path):
    pair = DevAuthority(tmp_path).server()
    certificate = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert {str(address) for address in names.get_values_for_type(x509.IPAddress)} == {"127.0.0.1", "::1"}
    assert certificate_thumbprint(pair.certificate.read_bytes()) == pair.thumbprint


def test_a_key_of_another_kind_is_not_taken_for_a_signing_key(tmp_path):
    key = tmp_path / "key.pem"
    write_secret(key, DevAuthority(tmp_path / "tls").certificate.read_bytes())
    with pytest.raises((KeyRefused, ValueError)):
        signing_key(key)


def test_kinds_of_licence_equal_those_of_the_standard():
    assert set(load_standard().licences.rows) == LICENCE_KINDS
