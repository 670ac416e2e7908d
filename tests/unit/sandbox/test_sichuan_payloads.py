"""Vectors of docs/platforms/sichuan.md against what the sandbox writes."""

import base64
import gzip
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from sandbox.facts import PlatformId
from sandbox.sichuan.callbacks import sign
from sandbox.sichuan.envelope import DataStatus, payload_bytes, seal
from sandbox.sichuan.modules import MODULES, Window, payload

VECTORS = Path("tests/conformance/vectors/platforms")
ENVELOPE = json.loads((VECTORS / "sichuan_envelope.json").read_text(encoding="utf-8"))
MESSAGES = json.loads((VECTORS / "sichuan_messages.json").read_text(encoding="utf-8"))
# A module may have several examples; its first is the plain one.
EXAMPLES = {
    row["module"]: row for row in reversed(json.loads((VECTORS / "sichuan_modules.json").read_text("utf-8"))["modules"])
}
SAME_AS_THE_SUBJECT = [
    "ent-ba/basicinfo",
    "ent-ba/shareholders",
    "ent-ba/actual-controller",
    "ent-ba/persons",
    "ent-ba/branches",
    "taxinfo/taxcreditlevels",
    "customized/score",
]


def told(sandbox, name, code, **window):
    file = sandbox.world.file(PlatformId.SICHUAN, code)
    answer = payload(MODULES[name], file, Window(**window))
    return answer.status, json.loads(payload_bytes(answer.content, is_zipped=False))


@pytest.mark.parametrize("case", ENVELOPE["cases"], ids=lambda case: f"zipped={case['zipped']}")
def test_the_envelope_is_the_vectors(case):
    key = serialization.load_pem_private_key(ENVELOPE["rsa_private_key_pem_NOT_REAL"].encode(), password=None)
    text = case["payload"].encode()
    content = base64.b64encode(gzip.compress(text, mtime=0)) if case["zipped"] else text
    expected = base64.b64decode(case["envelope"]["data"])
    if case["zipped"]:
        # Packers differ in their bytes: the vector's own packed payload is what is sealed.
        content = unsealed(expected, bytes.fromhex(case["sm4_key_hex"]))
        assert gzip.decompress(base64.b64decode(content)) == text
    sealed = seal(
        content,
        DataStatus(case["envelope"]["dataStatus"]),
        key.public_key(),
        key=bytes.fromhex(case["sm4_key_hex"]),
        nonce=bytes.fromhex(case["nonce_hex"]),
    )
    assert sealed["data"] == case["envelope"]["data"]
    assert sealed["dataStatus"] == case["envelope"]["dataStatus"]
    oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
    for wrapped in (sealed["encryptKey"], case["envelope"]["encryptKey"]):
        assert key.decrypt(base64.b64decode(wrapped), oaep).hex() == case["sm4_key_hex"]


def unsealed(data: bytes, key: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers import Cipher, modes
    from cryptography.hazmat.primitives.ciphers.algorithms import SM4

    opener = Cipher(SM4(key), modes.GCM(data[:12], data[-16:])).decryptor()
    return opener.update(data[12:-16]) + opener.finalize()


def test_the_callback_signature_is_the_vectors():
    callback = MESSAGES["callback"]
    signature = sign(callback["secret_not_real"], callback["x_sc_timestamp"], callback["body"].encode())
    assert signature == callback["x_sc_signature"]


@pytest.mark.parametrize("name", SAME_AS_THE_SUBJECT)
def test_a_module_reads_as_its_example(sandbox, name):
    example = EXAMPLES[name]
    status, content = told(sandbox, name, example["subject"])
    assert status == example["dataStatus"]
    assert content == example["payload"]
    if name != "ent-ba/basicinfo":
        file = sandbox.world.file(PlatformId.SICHUAN, example["subject"])
        assert MODULES[name].as_of(file.as_of).isoformat() == example["as_of"]


def test_the_newest_sales_month_is_the_golden_one(sandbox):
    status, content = told(sandbox, "taxinfo/saleinvoice", "91510107XXTT00026H", months=1)
    assert status == "STATUS_SUCCESS"
    assert content == {
        "list": [
            {
                "month": "2026-10",
                "saleAmtFen": 18345000,
                "invoiceCnt": "120",
                "buyerCnt": "37",
                "top5Ratio": 0.61,
                "redInvoiceRatio": 0.021,
                "voidInvoiceRatio": 0.004,
            }
        ],
        "total": "1",
        "pageNumber": 1,
        "pageSize": 20,
    }


def test_an_odd_total_is_text_and_pages_of_twenty_follow_one_another(sandbox):
    status, first = told(sandbox, "taxinfo/saleinvoice", "91510107XXTT00026H", months=23)
    _, second = told(sandbox, "taxinfo/saleinvoice", "91510107XXTT00026H", months=23, page=2)
    assert status == "STATUS_SUCCESS"
    assert (first["total"], len(first["list"]), len(second["list"])) == ("23", 20, 3)
    _, all_months = told(sandbox, "taxinfo/saleinvoice", "91510107XXTT00026H", months=36)
    assert all_months["total"] == 24


def test_amounts_are_numbers_with_at_most_two_decimals(sandbox):
    _, rows = told(sandbox, "taxinfo/declarations", "91510107XXTT00026H")
    assert rows[0] == {
        "period": "2026Q3",
        "taxType": "增值税",
        "declaredSalesAmt": 550350,
        "payableAmt": 16510.5,
        "paidAmt": 16510.5,
        "onTime": True,
    }


def test_capital_is_text_and_unknown_capital_is_null(sandbox):
    assert told(sandbox, "ent-ba/basicinfo", "91500105XXTT00077Q")[1]["regCapital"] == "1250万元人民币"
    assert told(sandbox, "ent-ba/basicinfo", "91500105XXTT00077Q")[1]["revokeDate"] == "2026-03-02"
    assert told(sandbox, "ent-ba/basicinfo", "92510104XXTT001494")[1]["regCapital"] is None


def test_every_module_of_an_empty_file_has_no_data(sandbox):
    for name, module in MODULES.items():
        status, content = told(sandbox, name, "91510107XXTT00069Y")
        assert status == "STATUS_NODATA"
        assert content is None if module.shape == "object" else content == []
