"""A settings file is taken whole or refused with file, key and rule."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from typer.testing import CliRunner

from gateway.cli import app
from gateway.settings import SettingsError, load_settings, read_secret
from ledger.witness.cosignature import WitnessKey
from standards.tables import SHIPPED

GOOD = """
region = "CN"
profile = "dev"
[database]
dsn_file = "dsn"
[ledger]
origin = "log.bashu.example/dev"
signing_key = "/keys/log"
highwater = "highwater"
[keys]
name_seal = "seal"
operator_commitment = "operator"
subject_commitment = "subject"
[vault]
dsn_file = "keys-dsn"
wrapping_key = "wrapping"
[keys.commitments.cq-2026]
file = "commitment-cq"
holders = ["authority-cq"]
[platforms.chongqing]
adapter = "chongqing"
url = "http://127.0.0.1:1/"
region = "500000"
platform_kind = "PUBLIC_FINANCING_PLATFORM"
name_zh = "重庆示例平台"
name_en = "Chongqing sample platform"
agreement_id = "AG-1"
pia_id = "PIA-1"
licence = { kind = "PUBLIC_FINANCING_PLATFORM", number = "1", authority = "x", valid_from = 2020-01-01 }
"""
OPERATOR = """
[operator]
name = "巴蜀示例征信有限公司"
uscc = "91500000XXTT00001A"
[operator.licence]
kind = "ENTERPRISE_CREDIT_FILING"
number = "1"
authority = "PBOC Chongqing"
valid_from = 2020-01-01
"""


@pytest.fixture
def load(tmp_path):
    def loading(text, **environment):
        path = tmp_path / "gateway.toml"
        path.write_text(text, encoding="utf-8")
        return load_settings(path, environment=environment)

    return loading


def refusal(load, text, **environment):
    with pytest.raises(SettingsError) as caught:
        load(text, **environment)
    return str(caught.value)


def test_relative_paths_are_relative_to_the_file(load, tmp_path):
    settings = load(GOOD)
    assert settings.database.dsn_file == tmp_path / "dsn"
    assert settings.keys.commitments["cq-2026"].file == tmp_path / "commitment-cq"
    assert str(settings.ledger.signing_key) == "/keys/log"


def test_the_environment_overrides_single_values(load):
    settings = load(GOOD, BASHU_SERVER__PORT="7000", BASHU_LEDGER__ORIGIN="log.example", PATH="/bin")
    assert (settings.server.port, settings.ledger.origin) == (7000, "log.example")


@pytest.mark.parametrize("name", ["BASHU_SERVER__PROT", "BASHU_SERVR", "BASHU_DATABASE__PASSWORD"])
def test_an_unknown_key_of_the_environment_is_refused(load, name):
    assert "unknown key" in refusal(load, GOOD, **{name: "1"})


def test_an_unknown_key_of_the_file_is_refused_with_file_key_and_rule(load):
    text = refusal(load, GOOD.replace('dsn_file = "dsn"', 'dsn_file = "dsn"\ndns_file = "x"'))
    assert "gateway.toml: database.dns_file: unknown key" in text


def test_a_missing_key_is_named(load):
    assert "ledger.origin" in refusal(load, GOOD.replace('origin = "log.bashu.example/dev"\n', ""))


def test_a_refusal_never_shows_the_value(load):
    assert "hunter2" not in refusal(load, GOOD, BASHU_SERVER__PORT="hunter2")


def test_outside_dev_no_operator_licence_is_no_start_and_the_articles_are_named(load):
    text = refusal(load, GOOD.replace('"dev"', '"production"'))
    assert "Art. 10" in text
    assert "Art. 37" in text
    assert "征信业管理条例" in text


def test_outside_dev_an_operator_without_licence_is_no_start(load):
    text = GOOD.replace('"dev"', '"production"') + OPERATOR.split("[operator.licence]", maxsplit=1)[0]
    assert "Art. 37" in refusal(load, text)


def test_with_a_licence_it_starts_outside_dev(load):
    settings = load(GOOD.replace('profile = "dev"', 'profile = "production"') + OPERATOR)
    assert settings.operator.licence.kind == "ENTERPRISE_CREDIT_FILING"


def test_a_gateway_outside_the_country_does_not_start(load):
    assert "region" in refusal(load, GOOD.replace('region = "CN"', 'region = "SG"'))
    assert "hosted_in" in refusal(load, GOOD + '\nhosted_in = "SG"')


def test_a_platform_without_agreement_is_refused(load):
    assert "platforms.chongqing.agreement_id" in refusal(load, GOOD.replace('agreement_id = "AG-1"', ""))


def test_plaintext_is_refused_beyond_loopback(load):
    assert "loopback only" in refusal(load, GOOD, BASHU_SERVER__HOST="0.0.0.0")


def test_half_a_tls_is_refused(load):
    assert "mutual" in refusal(load, GOOD, BASHU_SERVER__CERTIFICATE="server.pem")


def test_a_file_that_is_not_toml_is_named(load):
    assert "gateway.toml: not TOML" in refusal(load, "region = ")


def test_a_secret_others_may_read_is_refused(tmp_path):
    secret = tmp_path / "key"
    secret.write_bytes(b"abc\n")
    secret.chmod(0o640)
    with pytest.raises(SettingsError, match="others than its owner"):
        read_secret(secret, setting="keys.name_seal")
    secret.chmod(0o600)
    assert read_secret(secret, setting="keys.name_seal") == b"abc"


def test_check_config_says_which_tables_are_replaced_and_names_file_line_and_rule_of_a_wrong_one(tmp_path):
    tables = tmp_path / "tables"
    tables.mkdir()
    path = tmp_path / "gateway.toml"
    path.write_text(GOOD + '[standard]\ntables = "tables"\n', encoding="utf-8")
    text = (SHIPPED / "purposes.csv").read_text(encoding="utf-8")
    (tables / "purposes.csv").write_text(text, encoding="utf-8")
    runner = CliRunner()
    good = runner.invoke(app, ["check-config", "--settings", str(path)])
    assert good.exit_code == 0, good.output
    assert "1 replaced purposes.csv" in good.output
    (tables / "purposes.csv").write_text(text.replace("loan_reference,N", "loan_refrence,N", 1), encoding="utf-8")
    wrong = runner.invoke(app, ["check-config", "--settings", str(path)])
    assert wrong.exit_code != 0
    assert "purposes.csv, line 3, column needs: expected application_reference" in wrong.output


def test_no_retention_under_three_years_starts(load):
    assert load(GOOD + "[retention]\nyears = 3\n").retention.years == 3
    assert "retention.years" in refusal(load, GOOD + "[retention]\nyears = 2\n")


def test_a_portals_address_ends_where_the_bundles_id_begins(load):
    url = "https://portal.example/consents"
    assert load(GOOD + f'[consent]\ndecision_url = "{url}"\nholidays = [2026-10-01]\n').consent.decision_url == url
    for wrong in (f"{url}/", f"{url}?id=", "portal.example", "https://user@portal.example/x"):
        assert "consent.decision_url" in refusal(load, GOOD + f'[consent]\ndecision_url = "{wrong}"\n')
    assert "consent.decision_hours" in refusal(load, GOOD + "[consent]\ndecision_hours = 0\n")


WITNESS_KEYS = [Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in range(3)]


def witness(number, *, name=None, url="https://w.example/prefix", key=None):
    raw = WITNESS_KEYS[number if key is None else key].public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    vkey = WitnessKey(name=f"w{number}.example", public_key=raw).text()
    return f'[[ledger.witnesses]]\nname = "{name or f"w{number}.example"}"\nurl = "{url}"\nvkey = "{vkey}"\n'


def test_witnesses_come_with_a_quorum_of_them(load):
    text = GOOD.replace('highwater = "highwater"', 'highwater = "highwater"\nquorum = 2')
    settings = load(text + witness(0) + witness(1) + witness(2, url="http://127.0.0.1:9/x"))
    assert [told.name for told in settings.ledger.witnesses] == ["w0.example", "w1.example", "w2.example"]
    assert settings.ledger.quorum == 2
    assert settings.ledger.witness_budgets.refuse_all_s == 14_400
    assert load(GOOD).ledger.witnesses == []


@pytest.mark.parametrize(
    ("quorum", "witnesses", "why"),
    [
        ("", witness(0), "go together"),
        ("quorum = 1", "", "go together"),
        ("quorum = 0", witness(0), "greater than"),
        ("quorum = 2", witness(0), "over the number"),
        ("quorum = 1", witness(0) + witness(0), "one name or one key"),
        ("quorum = 1", witness(0) + witness(1, key=0), "one name or one key"),
        ("quorum = 1", witness(0, name="w9.example"), "inside vkey"),
        ("quorum = 1", witness(0, url="http://w.example/"), "loopback"),
        ("quorum = 1", witness(0, url="https://user:secret@w.example/"), "pattern"),
        ("quorum = 1", witness(0).replace("vkey = ", 'vkey = "x+00000000+AAAA" #'), "not the verifier key"),
    ],
)
def test_a_wrong_witness_or_quorum_is_refused(load, quorum, witnesses, why):
    text = GOOD.replace('highwater = "highwater"', f'highwater = "highwater"\n{quorum}')
    assert why in refusal(load, text + witnesses)


@pytest.mark.parametrize(
    "budgets", ["warn_s = 61", "refuse_persons_s = 3601", "refuse_all_s = 14401", "warn_s = 60\nrefuse_persons_s = 59"]
)
def test_budgets_of_witnesses_get_shorter_never_longer(load, budgets):
    assert "witness_budgets" in refusal(load, f"{GOOD}\n[ledger.witness_budgets]\n{budgets}\n")


def test_a_commitment_key_without_holders_is_refused_in_words(load):
    bare = GOOD.replace(
        '[keys.commitments.cq-2026]\nfile = "commitment-cq"\nholders = ["authority-cq"]',
        '[keys.commitments]\ncq-2026 = "commitment-cq"',
    )
    assert bare != GOOD
    with pytest.raises(SettingsError, match=r"cq-2026: \{file = .*holders says whom the key was lent to"):
        load(bare)
