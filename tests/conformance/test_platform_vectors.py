"""The vectors of docs/platforms: serials, signatures, messages, envelopes and translations, to the byte."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message

from adapters.chongqing import serials, signing
from adapters.chongqing.codec import DECLARATION, decode, encode
from adapters.chongqing.mapping import map_items
from adapters.chongqing.result import page_of, put_together
from adapters.chongqing.shapes import KINDS
from adapters.kit.failures import PlatformFailureError
from adapters.sichuan.answers import Answered, Collected, outcomes_of
from adapters.sichuan.envelope import load_private_key, open_envelope
from adapters.sichuan.modules import ACTUAL_CONTROLLER, MODULES, PERMISSIONS, SHAREHOLDERS
from bashu.v1.common_pb2 import PlatformStatus
from standards.answer import body_of
from standards.catalogue import Standard, load_standard
from standards.days import start_of_day
from standards.tables import SHIPPED
from tests.platform_stage import a_firm

VECTORS = Path(__file__).parent / "vectors" / "platforms"
SUBJECT_NAME = "四川示例二号（成都）软件有限公司"


def vector(name: str) -> Any:
    return json.loads((VECTORS / name).read_text())


@pytest.fixture(scope="module")
def standard() -> Standard:
    return load_standard()


def fields(body: Message) -> dict[str, Any]:
    """Set fields; decimals other than money as numbers, since 0.6 and 0.600000 are one value."""
    return {field.name: _comparable(field.name, value) for field, value in body.ListFields()}


def _comparable(name: str, value: Any) -> Any:
    is_number = name.endswith("ratio") or name in {"score", "risk_index"}
    return Decimal(str(value)) if is_number else value


def expected(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: _comparable(name, value) for name, value in row.items()} for row in rows]


def test_chongqing_serials_are_derived_as_the_page_says() -> None:
    given = vector("chongqing_lsh.json")
    institution, request_id, kinds = given["institution"], given["request_id"], given["kinds"]
    filing = serials.filing_serial(
        institution=institution,
        artefact_digest=given["artefact_digest"],
        purpose=given["cxyy"],
        kinds=kinds,
        last_day=given["sqjzrq"],
    )
    assert filing == given["xy1000"]
    submit = serials.submit_serial(
        institution=institution, request_id=request_id, kinds=kinds, authorisation=given["sqsbh"]
    )
    assert (submit, submit + serials.REPEATS[1]) == (given["xy1001"], given["xy1001_r1"])
    public = serials.submit_serial(institution=institution, request_id=request_id, kinds=kinds, authorisation="")
    assert public == given["xy1001_without_authorisation"]
    assert serials.enquiry_number(institution=institution, request_id=request_id) == given["cxbh"]


def test_chongqing_requests_are_signed_as_the_page_says() -> None:
    given = vector("chongqing_sign.json")
    body = (VECTORS / given["body_file"]).read_bytes()
    assert len(body) == given["body_bytes"]
    parts = {"path": given["path"], "sent_at": given["sjc"], "nonce": given["nonce"], "body": body}
    assert signing.canonical_string(code=given["jgdm"], **parts) == given["canonical"]
    caller = signing.Caller(code=given["jgdm"], secret=given["key_not_real"].encode())
    assert signing.signed_headers(caller, **parts)["X-CQ-SIGN"] == given["sign"]


def test_chongqing_requests_are_written_to_the_byte() -> None:
    written = encode(
        "XY1001",
        "SBX202611230900000001",
        "SBXBANK01",
        (
            ("TYSHXYDM", "91500105XXTT00018M"),
            ("QYMC", "重庆示例一号机电有限公司"),
            ("CXYY", "01"),
            ("SQSBH", "SQ20261123000001"),
            ("SQJZRQ", "20270522"),
            ("BGLX", "2"),
            ("CXMK", ""),
        ),
    )
    assert written == (VECTORS / "chongqing_sign_body.xml").read_bytes()


def test_chongqing_answers_are_read_with_their_codes() -> None:
    for message in vector("chongqing_messages.json")["messages"]:
        if "answer" in message:
            raw = DECLARATION + message["answer"].encode("gb18030")
            assert decode(raw).code == message["answer"].partition("<FHM>")[2][:4]


def test_the_platforms_signature_is_checked_over_the_bytes_as_received(tmp_path: Path) -> None:
    given = vector("chongqing_qm.json")
    (tmp_path / "jwks").write_text(json.dumps(given["jwks"]))
    keys = signing.load_platform_keys(tmp_path / "jwks")
    signed = decode((VECTORS / given["file"]).read_bytes()).signed
    parts = {"key_id": given["qmbh"], "algorithm": given["qmsf"], "signature": given["qm"]}
    assert signing.is_signed(keys, signed=signed, **parts)
    assert not signing.is_signed(keys, signed=signed.replace(b"1,250.00", b"9,250.00"), **parts)
    for name, wrong in (("key_id", "other"), ("algorithm", "SM2"), ("signature", ""), ("signature", "A" * 88)):
        assert not signing.is_signed(keys, signed=signed, **{**parts, name: wrong})


@pytest.fixture(scope="module")
def chongqing_outcomes(standard: Standard) -> Any:
    raw = (VECTORS / "chongqing_result.xml").read_bytes()
    page = page_of(decode(raw), raw, job="RW20261123090008000001", subject=a_firm("91500105XXTT00018M"), wanted=1)
    return map_items(put_together([page]), KINDS, standard)


@pytest.mark.parametrize("item", sorted(KINDS))
def test_chongqings_result_translates_to_the_expected_records(chongqing_outcomes: Any, item: str) -> None:
    given = vector("chongqing_result_expected.json")
    outcome = chongqing_outcomes[item]
    wanted = given["status"].get(item, given["status"]["*"])
    assert PlatformStatus.Name(outcome.status) == f"PLATFORM_STATUS_{wanted}"
    assert [fields(body_of(record)) for record in outcome.records] == expected(given["records"].get(item, []))
    kind = KINDS[item]
    dropped = {path: count for path, count in given["dropped_class_3"].items() if path.startswith(kind + "/")}
    assert outcome.dropped_class3 == sum(dropped.values())
    assert not any("NOT_ASKED" in note for note in outcome.notes)


@pytest.mark.parametrize("given", vector("chongqing_groups.json")["groups"], ids=lambda given: given["item"])
def test_chongqings_groups_translate_to_the_expected_records(standard: Standard, given: dict[str, Any]) -> None:
    whose = vector("chongqing_groups.json")
    body = (
        f"<RWH>RW1</RWH><TYSHXYDM>{whose['subject']}</TYSHXYDM><QYMC>{whose['name']}</QYMC><SJSJ>20261122</SJSJ>"
        f"<DQYS>1</DQYS><ZYS>1</ZYS>{given['sent']}"
    )
    answer = f"<RSP><HEAD><FHM>0000</FHM><FHXX>x</FHXX><LSH>Q</LSH></HEAD><BODY>{body}</BODY></RSP>"
    raw = DECLARATION + answer.encode("gb18030")
    page = page_of(decode(raw), raw, job="RW1", subject=a_firm(whose["subject"]), wanted=1)
    outcome = map_items(put_together([page]), [given["item"]], standard)[given["item"]]
    assert outcome.failure is None, outcome.notes
    assert [fields(body_of(record)) for record in outcome.records] == expected(given["expected_records"])
    assert [list(record.marks) for record in outcome.records] == given["marks"]
    assert (outcome.dropped_class3, outcome.as_of) == (given["dropped_class_3"], start_of_day(given["as_of"]))


def test_chongqings_groups_have_their_own_as_of_days(chongqing_outcomes: Any) -> None:
    days = vector("chongqing_result_expected.json")["as_of"]
    for item, group in (
        ("enterprise_registration", "JBXX"), ("tax_arrears", "NSXX"), ("judgment_debtor", "SFXX"),
        ("sales_invoice_monthly", "KPXX"), ("platform_score", "BODY"),
    ):  # fmt: skip
        assert chongqing_outcomes[item].as_of == start_of_day(days[group])


def test_an_inferred_year_says_so(chongqing_outcomes: Any) -> None:
    assert list(chongqing_outcomes["tax_credit_grade"].records[0].field_quality) == ["year=INFERRED"]


def sichuan_modules() -> list[Any]:
    return [entry for entry in vector("sichuan_modules.json")["modules"] if entry["module"] != ACTUAL_CONTROLLER]


def _answered(entry: dict[str, Any]) -> Answered:
    if entry["dataStatus"] == "STATUS_NODATA":
        return Answered(as_of=(entry["as_of"] or "")[:10])
    payload = json.dumps(entry["payload"], ensure_ascii=False).encode()
    page = MODULES[entry["module"]].page(payload)
    return Answered(rows=page.rows, total=page.total, as_of=entry["as_of"][:10])


@pytest.mark.parametrize("entry", sichuan_modules(), ids=lambda entry: f"{entry['module']} {entry['dataStatus']}")
def test_sichuans_modules_translate_to_the_expected_records(standard: Standard, entry: dict[str, Any]) -> None:
    modules = {entry["module"]: _answered(entry)}
    if entry["module"] == SHAREHOLDERS:
        controller = next(e for e in vector("sichuan_modules.json")["modules"] if e["module"] == ACTUAL_CONTROLLER)
        modules[ACTUAL_CONTROLLER] = _answered(controller)
    collected = Collected(name=SUBJECT_NAME, modules=modules)
    module = MODULES[entry["module"]]
    outcome = outcomes_of(collected, [module], subject=entry["subject"], standard=standard)[entry["item"]]
    assert outcome.failure is None, outcome.notes
    assert [fields(body_of(record)) for record in outcome.records] == expected(entry["expected_records"])
    assert outcome.dropped_class3 == sum(entry["dropped_class_3"].values())
    assert all(list(record.marks) == entry.get("marks", []) for record in outcome.records)


def test_a_text_that_an_operators_own_table_knows_is_read_without_a_change_of_code(tmp_path: Path) -> None:
    entry = next(one for one in sichuan_modules() if one["module"] == PERMISSIONS)
    first, *_ = entry["payload"]["list"]
    payload = {**entry["payload"], "list": [{**first, "status": "已失效"}], "total": 1}
    modules = {PERMISSIONS: _answered({**entry, "payload": payload})}
    aliases = (SHIPPED / "code_aliases.csv").read_text(encoding="utf-8")
    columns = aliases.splitlines()[0].split(",")
    row = {"code_set": "permission_status", "code": "INVALID", "text": "已失效", "source": "operator"}
    (tmp_path / "code_aliases.csv").write_text(
        aliases.rstrip("\n") + "\n" + ",".join(row.get(name, "") for name in columns) + "\n", encoding="utf-8"
    )
    for standard, read in ((load_standard(), ("已失效", ["CODE_UNKNOWN"])), (load_standard(tmp_path), ("INVALID", []))):
        found = outcomes_of(
            Collected(name=SUBJECT_NAME, modules=modules),
            [MODULES[PERMISSIONS]],
            subject=entry["subject"],
            standard=standard,
        )["administrative_permission"]
        assert (golden(found).status, list(found.records[0].marks)) == read


def test_sichuans_envelopes_open() -> None:
    given = vector("sichuan_envelope.json")
    keys = {"k": load_private_key(given["rsa_private_key_pem_NOT_REAL"].encode())}
    for case in given["cases"]:
        body = json.dumps(case["envelope"]).encode()
        opened = open_envelope(body, keys, key_id="k", is_zipped=case["zipped"])
        assert opened.payload.decode() == case["payload"]
        assert opened.status == case["envelope"]["dataStatus"]


@pytest.mark.parametrize("member", ["encryptKey", "data", "dataStatus"])
def test_an_envelope_with_one_changed_member_does_not_open(member: str) -> None:
    given = vector("sichuan_envelope.json")
    keys = {"k": load_private_key(given["rsa_private_key_pem_NOT_REAL"].encode())}
    envelope = dict(given["cases"][0]["envelope"])
    text = envelope[member]
    envelope[member] = text[:30] + ("B" if text[30:31] != "B" else "C") + text[31:]
    with pytest.raises(PlatformFailureError):
        open_envelope(json.dumps(envelope).encode(), keys, key_id="k", is_zipped=False)


def golden(outcome: Any) -> Any:
    return body_of(outcome.records[0])


def test_native_grades_and_scores_are_kept_on_their_own_scales(chongqing_outcomes: Any, standard: Standard) -> None:
    public, score = (golden(chongqing_outcomes[item]) for item in ("public_credit_evaluation", "platform_score"))
    assert (public.scale_id, public.grade) == ("cq_public_credit_1234", "1")
    assert (score.scale_id, score.score) == ("cq_score_0_100", "83.5")


def test_a_capital_in_dollars_is_never_converted(standard: Standard) -> None:
    entry = next(one for one in sichuan_modules() if one["module"] == "ent-ba/basicinfo")
    payload = entry["payload"] | {"regCapital": "100万美元", "opTo": "2099-12-31"}
    collected = Collected(name="x", modules={"ent-ba/basicinfo": _answered(entry | {"payload": payload})})
    module = MODULES["ent-ba/basicinfo"]
    body = golden(outcomes_of(collected, [module], subject=entry["subject"], standard=standard)[entry["item"]])
    assert (body.registered_capital, body.currency) == ("1000000.00", "USD")
    assert body.no_fixed_term is True
    assert not body.HasField("term_end")
