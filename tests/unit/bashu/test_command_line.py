"""`bashu` as its users meet it: against a gateway of few lines on a real socket, and offline."""

import base64
import io
import json
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console
from typer.testing import CliRunner

from bashu.cli import app
from bashu.cli.evaluation import indicators
from bashu.cli.labels import CHECK, REASON, field_name, item_name
from bashu.cli.tables import day, print_report
from bashu.v1 import common_pb2, compliance_pb2, consent_pb2, credit_pb2, ledger_pb2, report_pb2
from consent.checks import CHECKS
from gateway.decisions import refused
from tests.unit.bashu.conftest import Log, recursive_path, tlog_proof
from tests.unit.bashu.test_client_calls import status_of

CONSENT = "0195512e-0000-7000-8000-0000000000aa"
CODE = "91500105XXTT00018M"


def example_report():
    report = report_pb2.CreditReport(report_id="r-1", completeness=report_pb2.COMPLETENESS_PARTIAL)
    report.gateway_operator.name = "巴蜀信用"
    report.gateway_operator.sandbox_licence = True
    report.sources.add(source_id="s1", platform_id="chongqing", region="500000").as_of.seconds = 1_772_000_000
    record = report.records.add(data_item="enterprise_registration", source_ids=["s1"])
    record.enterprise_registration.name = "[bold]渝中\x1b[31m某公司"
    record.enterprise_registration.no_fixed_term = True
    for month in ("2026-01", "2026-02"):
        record = report.records.add(data_item="sales_invoice_monthly", source_ids=["s1"])
        record.sales_invoice_monthly.uscc = month
    for platform, region, status in (("chongqing", "500000", 1), ("sichuan", "510000", 5)):
        report.platform_results.add(
            platform_id=platform, region=region, data_item="enterprise_registration", status=status
        )
    conflict = report.conflicts.add(data_item="enterprise_registration", field="name", rule="HOME_REGION")
    conflict.values.add(platform_id="sichuan", value="另一名称")
    report.withheld.add(data_item="administrative_penalty", reason="REPAIRED", rule="R27", count=1)
    report.evaluation.grade = "XYD-N"
    report.disclaimer = "仅供参考 for reference only"
    return report


class Gateway:
    def __init__(self):
        self.log = Log()
        self.refusal = None
        self.asked = []
        self.spoil = False
        self.integrated_after = 1
        self.receipt = None

    def answer(self, request, context):
        self.asked.append(request)
        if self.refusal is not None:
            context.set_trailing_metadata((("grpc-status-details-bin", self.refusal.SerializeToString()),))
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, self.refusal.message)

    def query(self, request, context):
        self.answer(request, context)
        raw = example_report().SerializeToString()
        self.receipt = self.log.release(raw + b"other" if self.spoil else raw)
        return credit_pb2.QueryCreditResponse(
            request_id=request.request_id, report=example_report(), receipt=self.receipt
        )

    def consent(self, response):
        def handle(request, context):
            self.answer(request, context)
            consent = consent_pb2.Consent(consent_id=CONSENT, state=consent_pb2.CONSENT_STATE_ACTIVE, revision=1)
            return response(consent=consent)

        return handle

    def consents(self, request, context):
        self.answer(request, context)
        consent = consent_pb2.Consent(consent_id=CONSENT, state=consent_pb2.CONSENT_STATE_PAUSED, max_uses=3)
        answer = consent_pb2.ListConsentsResponse(consents=[consent])
        answer.page.next_page_token = "next-1"
        return answer

    def explanation(self, request, context):
        self.answer(request, context)
        steps = [
            compliance_pb2.DecisionStep(number=4, name="role", passed=True, rule="R22"),
            compliance_pb2.DecisionStep(number=12, name="state", reason="CONSENT_PAUSED", rule="R15"),
        ]
        return compliance_pb2.ExplainDecisionResponse(steps=steps, outcome="CONSENT_PAUSED")

    def trace(self, request, context):
        self.asked.append(request)
        answer = compliance_pb2.TraceConsentResponse(institution="bank-cq")
        answer.events.add(revision=2, from_state="ACTIVE", to_state="PAUSED", reason="PAUSED", actor="SUBJECT")
        return answer

    def _hashes(self):
        return [bytes([number]) * 32 for number in range(4)] + [self.receipt.leaf_hash if self.receipt else bytes(32)]

    def checkpoint(self, request, context):
        self.answer(request, context)
        return ledger_pb2.GetCheckpointResponse(checkpoint=self.log.checkpoint(self._hashes()), tree_size=5)

    def proof(self, request, context):
        if self.integrated_after:
            self.integrated_after -= 1
            self.refusal = status_of("NOT_FOUND_OR_NOT_YOURS")
            self.answer(request, context)
        self.refusal = None
        self.answer(request, context)
        hashes = self._hashes()
        note = self.log.checkpoint(hashes)
        return ledger_pb2.GetInclusionProofResponse(
            leaf_index=4,
            tree_size=5,
            leaf_hash=hashes[3] if self.spoil else hashes[4],
            proof=recursive_path(4, hashes),
            checkpoint=note,
            tlog_proof=tlog_proof(4, hashes, note),
        )

    def entry(self, request, context):
        self.answer(request, context)
        entry = ledger_pb2.LedgerEntry(leaf=self.receipt.entry, leaf_hash=self.receipt.leaf_hash, leaf_index=4)
        return ledger_pb2.GetEntryResponse(entry=entry)


def _handlers(gateway):
    services = {
        "CreditService": (credit_pb2, {"QueryCredit": gateway.query}),
        "ConsentService": (
            consent_pb2,
            {
                "RegisterConsent": gateway.consent(consent_pb2.RegisterConsentResponse),
                "GetConsent": gateway.consent(consent_pb2.GetConsentResponse),
                "RevokeConsent": gateway.consent(consent_pb2.RevokeConsentResponse),
                "PauseConsent": gateway.consent(consent_pb2.PauseConsentResponse),
                "ResumeConsent": gateway.consent(consent_pb2.ResumeConsentResponse),
                "ListConsents": gateway.consents,
            },
        ),
        "ComplianceService": (
            compliance_pb2,
            {"ExplainDecision": gateway.explanation, "TraceConsent": gateway.trace},
        ),
        "LedgerService": (
            ledger_pb2,
            {"GetCheckpoint": gateway.checkpoint, "GetInclusionProof": gateway.proof, "GetEntry": gateway.entry},
        ),
    }
    for service, (module, methods) in services.items():
        rpcs = {
            name: grpc.unary_unary_rpc_method_handler(
                method,
                getattr(module, f"{name}Request").FromString,
                getattr(module, f"{name}Response").SerializeToString,
            )
            for name, method in methods.items()
        }
        yield grpc.method_handlers_generic_handler(f"bashu.v1.{service}", rpcs)


@pytest.fixture
def gateway():
    return Gateway()


@pytest.fixture
def dev(gateway, tmp_path):
    """The folder of a development stack whose gateway is ours."""
    server = grpc.server(ThreadPoolExecutor(max_workers=4))
    server.add_generic_rpc_handlers(tuple(_handlers(gateway)))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    folder = tmp_path / "dev"
    folder.mkdir()
    key = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").write_bytes(key)
    stack = {
        "grpc": f"127.0.0.1:{port}",
        "ca": None,
        "ledger_vkey": gateway.log.vkey,
        "participants": {"bank-cq": {"kid": "k", "private_key": str(folder / "key.pem"), "staff": ["10001"]}},
    }
    (folder / "dev.json").write_text(json.dumps(stack))
    yield folder
    server.stop(None).wait()


def run(*arguments, stdin=None, code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)
    assert result.exit_code == code, result.output
    return result


def ask(dev, *arguments, code=0, stdin=None):
    return run(*arguments, "--dev", dev, "--as", "bank-cq", code=code, stdin=stdin)


QUERY = ("query", CODE, "--purpose", "PRE_LOAN_REVIEW", "--consent", CONSENT)


def test_a_query_says_what_its_options_say(dev, gateway):
    options = "--application-reference A1 --item tax_arrears --item judgment_debtor --region 500000 --lookback-days 365"
    ask(dev, *QUERY, *options.split(), "--request-id", CONSENT, "--evaluate", "--name", "某公司")
    asked = gateway.asked[0]
    assert asked.subject.enterprise.unified_social_credit_code == CODE
    assert (asked.purpose, asked.consent_id, asked.request_id) == ("PRE_LOAN_REVIEW", CONSENT, CONSENT)
    assert (list(asked.data_items), list(asked.regions)) == (["tax_arrears", "judgment_debtor"], ["500000"])
    assert (asked.application_reference, asked.lookback.days, asked.include_evaluation) == ("A1", 365, True)


def test_a_report_is_printed_chinese_first_with_every_platform_named_and_its_receipt_verified(dev):
    output = ask(dev, *QUERY).output
    for text in (
        "部分 PARTIAL",
        "SANDBOX LICENCE",
        "重庆",
        "超时 TIMEOUT",
        "企业名称",
        "另一名称",
        "R27",
        "XYD-N",
        "已核验 verified",
    ):
        assert text in output


def test_text_of_platforms_can_neither_style_nor_steer_the_terminal(dev):
    output = ask(dev, *QUERY).output
    assert "[bold]渝中�[31m某公司" in output
    assert "\x1b" not in output


def test_json_carries_report_receipt_and_verdict(dev, gateway):
    answer = json.loads(ask(dev, *QUERY, "--json").stdout)
    assert answer["report"]["completeness"] == "COMPLETENESS_PARTIAL"
    assert answer["receipt_verified"] is True
    assert answer["request_id"] == gateway.asked[0].request_id != ""


def test_the_code_may_be_given_as_an_option(dev, gateway):
    ask(dev, "query", "--code", CODE, "--purpose", "PRE_LOAN_REVIEW")
    assert gateway.asked[0].subject.enterprise.unified_social_credit_code == CODE


def test_a_persons_number_may_come_from_stdin(dev, gateway):
    ask(dev, "query", "-", "--person", "--purpose", "PRE_LOAN_REVIEW", stdin="11010119900307XXXX\n")
    assert gateway.asked[0].subject.person.id_number == "11010119900307XXXX"


def test_a_receipt_that_does_not_verify_ends_with_4_and_shows_no_report(dev, gateway):
    gateway.spoil = True
    result = ask(dev, *QUERY, code=4)
    assert "report_digest" in result.output
    assert "PARTIAL" not in result.output


def test_a_refusal_ends_with_1_and_says_reason_and_turn(dev, gateway):
    gateway.refusal = status_of("CONSENT_REVOKED", turn="BORROWER", request_id="q-9")
    output = ask(dev, *QUERY, code=1).output
    assert "CONSENT_REVOKED" in output
    assert "信息主体 BORROWER" in output
    error = json.loads(ask(dev, *QUERY, "--json", code=1).stdout)["error"]
    assert (error["reason"], error["turn"], error["request_id"]) == ("CONSENT_REVOKED", "BORROWER", "q-9")


def test_a_gateway_that_is_not_there_ends_with_3(dev):
    stack = json.loads((dev / "dev.json").read_text())
    (dev / "dev.json").write_text(json.dumps(stack | {"grpc": "127.0.0.1:1"}))
    assert json.loads(ask(dev, *QUERY, "--json", "--deadline", "5", code=3).stdout)["error"]["reason"] == "UNREACHABLE"


def test_what_cannot_be_asked_ends_with_2(dev, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    run(*QUERY, code=2)
    run(*QUERY, "--dev", dev, code=2)
    run(*QUERY, "--as", "bank-cq", code=2)
    run(*QUERY, "--dev", dev, "--as", "bank-xx", code=2)
    ask(dev, "query", CODE, code=2)
    ask(dev, "query", "--purpose", "PRE_LOAN_REVIEW", code=2)
    ask(dev, *QUERY, "--code", CODE, code=2)
    ask(dev, "consent", "register", tmp_path / "none.jws", code=2)


def test_saved_evidence_verifies_offline_with_its_place_in_the_log(dev, tmp_path):
    folder = tmp_path / "kept"
    ask(dev, *QUERY, "--save-receipt", folder)
    assert {path.name for path in folder.iterdir()} == {
        "receipt.json",
        "report.bin",
        "checkpoint",
        "inclusion.json",
        "receipt.tlog-proof",
        "vkey",
    }
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())
    verdict = json.loads(run("verify", "receipt", folder, "--json").stdout)
    assert (verdict["ok"], verdict["leaf_index"], verdict["tree_size"]) == (True, 4, 5)


@pytest.mark.parametrize("name", ["receipt.json", "report.bin", "checkpoint", "inclusion.json", "receipt.tlog-proof"])
def test_saved_evidence_with_one_changed_file_ends_with_4(dev, tmp_path, name):
    folder = tmp_path / "kept"
    ask(dev, *QUERY, "--save-receipt", folder)
    content = (folder / name).read_bytes()
    changed = {
        "receipt.json": (b'"leaf_index": 1', b'"leaf_index": 2'),
        "inclusion.json": (b'"leaf_index": 4', b'"leaf_index": 3'),
    }
    old, new = changed.get(name, (content[40:41], bytes([content[40] ^ 1])))
    (folder / name).write_bytes(content.replace(old, new, 1))
    assert json.loads(run("verify", "receipt", folder, "--json", code=4).stdout)["ok"] is False


def test_a_proof_that_came_later_is_saved_beside_the_receipt_and_checked_with_it(dev, gateway, tmp_path):
    folder = tmp_path / "kept"
    ask(dev, *QUERY, "--save-receipt", folder)
    for name in ("checkpoint", "inclusion.json", "receipt.tlog-proof"):
        (folder / name).unlink()
    assert "leaf_index" not in json.loads(run("verify", "receipt", folder, "--json").stdout)
    ask(dev, "ledger", "proof", "4", "--save", folder / "receipt.tlog-proof")
    assert json.loads(run("verify", "receipt", folder, "--json").stdout)["leaf_index"] == 4
    gateway.spoil = True
    ask(dev, "ledger", "proof", "4", "--save", tmp_path / "spoilt", code=4)
    assert not (tmp_path / "spoilt").exists()


def test_a_tlog_proof_is_checked_by_itself_for_a_receipt_an_entry_or_a_leaf_hash(dev, gateway, tmp_path):
    folder = tmp_path / "kept"
    ask(dev, *QUERY, "--save-receipt", folder)
    entry = tmp_path / "entry"
    entry.write_bytes(gateway.receipt.entry)
    check = ("verify", "tlog-proof", folder / "receipt.tlog-proof", "--vkey", folder / "vkey", "--json")
    digest = base64.b64encode(gateway.receipt.leaf_hash).decode()
    for given in (("--receipt", folder / "receipt.json"), ("--entry", entry), ("--leaf-hash", digest)):
        found = json.loads(run(*check, *given).stdout)
        assert (found["ok"], found["leaf_index"], found["tree_size"]) == (True, 4, 5)
    run(*check, "--leaf-hash", base64.b64encode(bytes(32)).decode(), code=4)
    run(*check, code=2)
    run(*check, "--entry", entry, "--leaf-hash", digest, code=2)
    line = {"tlog_proof": (folder / "receipt.tlog-proof").read_text(), "vkey": gateway.log.vkey}
    lines = [
        line | {"leaf_hash": digest},
        line | {"entry": base64.b64encode(entry.read_bytes()).decode()},
        line,
        line | {"leaf_hash": digest, "tlog_proof": ""},
    ]
    told = run("verify", "tlog-proof", "--jsonl", stdin="\n".join(json.dumps(one) for one in lines)).stdout
    assert [json.loads(one)["ok"] for one in told.splitlines()] == [True, True, False, False]


def test_saved_evidence_is_refused_under_another_key_and_without_its_files(dev, tmp_path):
    folder = tmp_path / "kept"
    ask(dev, *QUERY, "--save-receipt", folder)
    run("verify", "receipt", folder, "--vkey", Log().vkey, code=4)
    run("verify", "receipt", "--receipt", folder / "receipt.json", "--report", folder / "report.bin", code=2)
    files = ("--receipt", folder / "receipt.json", "--report", folder / "report.bin", "--vkey", folder / "vkey")
    run("verify", "receipt", *files)
    run("verify", "receipt", tmp_path / "nothing", "--vkey", folder / "vkey", code=2)


def test_a_consent_is_registered_byte_for_byte_shown_and_revoked(dev, gateway, tmp_path):
    artefact = tmp_path / "artefact.jws"
    artefact.write_bytes(b"aa.bb.cc\n")
    for arguments in (("register", artefact), ("show", CONSENT, "--history"), ("revoke", CONSENT, "--reason", "X")):
        assert "有效 ACTIVE" in ask(dev, "consent", *arguments).output
        shown = json.loads(ask(dev, "consent", *arguments, "--json").stdout)
        assert shown["consent"]["consent_id"] == CONSENT
    assert gateway.asked[0].artefact == b"aa.bb.cc"
    assert gateway.asked[2].with_history
    assert gateway.asked[4].reason == "X"


def test_a_consent_is_paused_and_resumed(dev, gateway):
    for verb in ("pause", "resume"):
        output = ask(dev, "consent", verb, CONSENT, "--expected-revision", "3").output
        assert CONSENT in output
        assert (gateway.asked[-1].consent_id, gateway.asked[-1].expected_revision) == (CONSENT, 3)
        assert json.loads(ask(dev, "consent", verb, CONSENT, "--json").stdout)["consent"]["consent_id"] == CONSENT


def test_consents_are_listed_by_state_with_the_way_to_the_next_page(dev, gateway):
    output = ask(dev, "consent", "list", "--state", "PAUSED", "--page-size", "1", "--page-token", "t").output
    assert "主体暂停 PAUSED" in output
    assert "next-1" in output
    asked = gateway.asked[0]
    assert (list(asked.states), asked.page.page_size, asked.page.page_token) == ([6], 1, "t")
    assert json.loads(ask(dev, "consent", "list", "--json").stdout)["page"]["next_page_token"] == "next-1"
    ask(dev, "consent", "list", "--state", "SLEEPING", code=2)


def test_a_decision_is_explained_check_by_check_in_both_languages(dev, gateway):
    output = ask(dev, "consent", "explain", CONSENT, "--institution", "bank-sc").output
    for text in ("机构与工号 role", "通过 passed", "授权状态 state", "拒绝 refused", "CONSENT_PAUSED", "R15"):
        assert text in output
    assert (gateway.asked[0].request_id, gateway.asked[0].institution) == (CONSENT, "bank-sc")
    assert "主体已暂停授权 CONSENT_PAUSED" in output
    assert json.loads(ask(dev, "consent", "explain", CONSENT, "--json").stdout)["outcome"] == "CONSENT_PAUSED"


def test_a_traced_consent_names_its_states_in_both_languages(dev):
    output = ask(dev, "compliance", "trace", CONSENT).output
    assert "有效 ACTIVE" in output
    assert "主体暂停 PAUSED" in output


def test_a_source_without_a_value_says_so_in_a_conflict():
    report = report_pb2.CreditReport()
    conflict = report.conflicts.add(data_item="judgment_debtor", field="closed_on", rule="LATEST_AS_OF")
    conflict.values.add(platform_id="chongqing", value="")
    out = Console(width=120, record=True, file=io.StringIO())
    print_report(out, report)
    assert "chongqing: 无 none" in out.export_text()


def test_checkpoint_proof_and_entry_are_checked_before_they_are_shown(dev, gateway):
    ask(dev, *QUERY)
    gateway.integrated_after = 0
    assert "已核验" in ask(dev, "ledger", "checkpoint").output
    assert json.loads(ask(dev, "ledger", "proof", "4", "--json").stdout)["verified"] is True
    assert gateway.asked[-1].leaf_index == 4
    assert json.loads(ask(dev, "ledger", "entry", CONSENT, "--json").stdout)["entry"]["type"] == "RELEASE"
    assert gateway.asked[-1].entry_id == CONSENT
    gateway.spoil = True
    ask(dev, "ledger", "proof", "4", code=4)
    gateway.log = Log()
    ask(dev, "ledger", "checkpoint", code=4)


def test_lines_are_answered_one_by_one_and_end_with_0_whatever_the_verdicts(log):
    leaf = base64.b64encode(bytes(32)).decode()
    good = {"leaf_index": 0, "tree_size": 1, "leaf_hash": leaf, "root": leaf, "proof": []}
    lines = "\n".join(json.dumps(line) for line in (good, good | {"tree_size": 2}, good)) + "\nnonsense\n"
    answers = [json.loads(line) for line in run("verify", "inclusion", "--jsonl", stdin=lines).stdout.splitlines()]
    assert [answer["ok"] for answer in answers] == [True, False, True, False]
    assert [sorted(answer) for answer in answers] == [["error", "ok"]] * 4
    note = json.dumps({"note": log.checkpoint([]), "vkey": log.vkey}) + "\n"
    assert run("verify", "checkpoint", "--jsonl", stdin=note).stdout == '{"ok": true, "error": null}\n'
    empty = json.dumps({"size1": 0, "size2": 3, "root1": leaf, "root2": leaf, "proof": []}) + "\n"
    assert json.loads(run("verify", "consistency", "--jsonl", stdin=empty).stdout)["ok"] is True


def test_single_files_are_checked_with_an_exit_code(tmp_path, log):
    note = tmp_path / "checkpoint"
    note.write_text(log.checkpoint([bytes(32)]), encoding="utf-8")
    assert json.loads(run("verify", "checkpoint", note, "--vkey", log.vkey, "--json").stdout)["size"] == 1
    run("verify", "checkpoint", note, "--vkey", Log().vkey, code=4)
    run("verify", "checkpoint", note, code=2)
    run("verify", "jws", note, code=2)
    run("verify", "inclusion", "-", stdin="{}", code=4)


def test_every_field_a_report_can_carry_has_a_chinese_name():
    nameless = [
        f"{body.name}.{field.name}"
        for body in report_pb2.CreditRecord.DESCRIPTOR.oneofs_by_name["body"].fields
        for field in body.message_type.fields
        if field_name(body.name, field.name) == field.name or item_name(body.name) == body.name
    ]
    assert nameless == []


def test_every_status_has_a_chinese_name():
    from bashu.cli.labels import COMPLETENESS, CONSENT_STATE, PLATFORM_STATUS

    for enum, prefix, names in (
        (common_pb2.PlatformStatus, "PLATFORM_STATUS_", PLATFORM_STATUS),
        (report_pb2.Completeness, "COMPLETENESS_", COMPLETENESS),
        (consent_pb2.ConsentState, "CONSENT_STATE_", CONSENT_STATE),
    ):
        assert {name.removeprefix(prefix) for name in enum.DESCRIPTOR.values_by_name} - {"UNSPECIFIED"} == set(names)


def test_what_comes_with_a_refusal_is_named_in_chinese_and_always_in_the_same_order(dev, gateway):
    facts = {"rule": "contract: Services", "role": "LENDER", "hop": "gateway"}
    gateway.refusal = status_of("ROLE_NOT_ALLOWED", turn="CALLER", request_id="q-9", **facts)
    output = ask(dev, *QUERY, code=1).output
    places = [output.index(name) for name in ("环节 hop", "角色 role", "规则 rule")]
    assert places == sorted(places)


def test_every_admission_check_has_a_chinese_name():
    names = {check.name for check in CHECKS} | {step.name for step in refused("MALFORMED", "").steps}
    assert names | {"intent", "request-id"} == CHECK.keys()


def test_every_reason_of_the_contract_has_a_chinese_name():
    names = {name.removeprefix("ERROR_REASON_") for name, _ in common_pb2.ErrorReason.items()} - {"UNSPECIFIED"}
    assert names - REASON.keys() == set()


def test_several_records_say_once_what_is_the_same_in_all_and_never_style_the_terminal():
    report = report_pb2.CreditReport()
    for month in ("2026-08", "2026-09"):
        body = report.records.add(data_item="sales_invoice_monthly").sales_invoice_monthly
        body.uscc, body.month = "[bold]X[/bold]", month
    out = Console(width=120, record=True, file=io.StringIO())
    print_report(out, report)
    printed = out.export_text()
    assert printed.count("[bold]X[/bold]") == 1
    assert all(month in printed for month in ("2026-08", "2026-09"))


def test_a_folder_that_is_not_there_is_a_wrong_usage(tmp_path):
    assert "no such folder" in run("verify", "receipt", tmp_path / "none", code=2).output


def test_an_as_of_is_the_day_in_china():
    assert day(Timestamp(seconds=1_795_363_200)) == "2026-11-23"
    assert day(Timestamp()) == ""


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """No profile, no gateway: what a lender has who just installed the package."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("BASHU_CLIENT_PROFILE", "BASHU_CLIENT_DEV"):
        monkeypatch.delenv(name, raising=False)
    return CliRunner()


def test_the_catalogue_needs_no_gateway(nowhere):
    table = nowhere.invoke(app, ["catalogue"], env={"COLUMNS": "200"})
    assert table.exit_code == 0
    assert "qualification_certificates" in table.stdout
    item = json.loads(nowhere.invoke(app, ["catalogue", "housing_provident_fund", "--json"]).stdout)
    assert (item["id"], item["restricted"]) == ("housing_provident_fund", True)
    assert {field["id"] for field in item["fields"]} >= {"paid_to_month", "arrears"}
    head, *rows = nowhere.invoke(app, ["catalogue", "housing_provident_fund", "--csv"]).stdout.splitlines()
    assert head == "field,zh,en,type,unit,required,access,class,source"
    assert len(rows) == len(item["fields"])
    codes = nowhere.invoke(app, ["catalogue", "--codes", "permission_status", "--csv"]).stdout
    assert "REVOKED,撤销" in codes
    everything = json.loads(nowhere.invoke(app, ["catalogue", "--json"]).stdout)
    assert len(everything["items"]) == 59


def test_what_is_in_no_catalogue_is_a_usage_error_that_names_what_is(nowhere):
    unknown = nowhere.invoke(app, ["catalogue", "--codes", "no_such_list"])
    assert unknown.exit_code == 2
    assert "permission_status" in unknown.stderr
    assert nowhere.invoke(app, ["catalogue", "no_such_item"]).exit_code == 2
    online = nowhere.invoke(app, ["catalogue", "--online"])
    assert online.exit_code == 2
    assert "profile" in online.stderr


def test_a_code_and_a_grade_are_shown_by_their_chinese_names():
    report = example_report()
    report.records.add(data_item="administrative_permission").administrative_permission.status = "REVOKED"
    customs = report.records.add(data_item="customs_credit_grade").customs_credit_grade
    customs.scale_id, customs.grade = "customs_2026", "certified"
    fund = report.records.add(data_item="housing_provident_fund").housing_provident_fund
    fund.status = "8"
    out = Console(file=io.StringIO(), width=200)
    print_report(out, report)
    text = out.file.getvalue()
    for shown in ("撤销 REVOKED", "认证企业 certified"):
        assert shown in text
    assert "缴费状态 status │ 8 │" in " ".join(text.split())


def test_an_evaluation_shows_every_indicator_with_its_age_or_why_it_has_no_data():
    evaluation = report_pb2.Evaluation()
    known = evaluation.indicators.add(code="XP01", name_zh="纳税信用级别", points="0", max_points="30", value="D")
    known.as_of.seconds = 1_790_697_600
    evaluation.indicators.add(code="XO06", name_zh="净流入", points="17.5", max_points="35", missing="NOT_HELD")
    out = Console(file=io.StringIO(), width=200)
    out.print(indicators(evaluation))
    rows = [" ".join(line.split()) for line in out.file.getvalue().splitlines()]
    assert any("XP01 │ 纳税信用级别 │ 0 / 30 │ D │ │ 2026-09-30" in row for row in rows)
    assert any("XO06 │ 净流入 │ 17.5 / 35 │ │ 平台未持有 NOT_HELD" in row for row in rows)
