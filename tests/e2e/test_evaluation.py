"""The reference evaluation from outside: same admission, same release gate, a receipt over exactly what was sent."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Awaitable, Callable

import pytest

from bashu.client import Bashu
from bashu.errors import BashuCallError
from bashu.verify import Receipt, VerifierKey, verify_receipt
from loadtest.questions import question
from loadtest.stack import Stack

SUBJECT = "91500105XXTT00018M"
DEBTOR = "91500105XXTT00034B"
Consented = Callable[..., Awaitable[str]]


async def test_the_receipt_of_an_evaluation_is_over_the_evaluation_as_sent(
    stack: Stack, bank: Bashu, consented: Consented
) -> None:
    answer = await bank.evaluate_credit(question(SUBJECT, await consented()))
    sent = answer.evaluation.SerializeToString(deterministic=True)
    vkey = VerifierKey.parse(stack.ledger_vkey)
    verify_receipt(Receipt.from_message(answer.receipt), report=sent, vkey=vkey)
    assert answer.evaluation.model_version == "XYD-REF-1/1"
    assert len(answer.evaluation.indicators) == 27


async def test_a_query_with_evaluation_says_the_same_as_the_evaluation_alone(bank: Bashu, consented: Consented) -> None:
    consent_id = await consented(identifier=DEBTOR)
    asked = question(DEBTOR, consent_id)
    asked.include_evaluation = True
    whole = (await bank.query_credit(asked)).report
    alone = (await bank.evaluate_credit(question(DEBTOR, consent_id))).evaluation
    assert (whole.evaluation.grade, alone.grade) == ("XYD-S", "XYD-S")
    assert whole.evaluation.reasons == alone.reasons
    known = {record.record_id for record in whole.records}
    assert set(alone.reasons[0].record_ids) <= known


async def test_a_consent_without_the_act_evaluate_is_no_consent_to_it(bank: Bashu, consented: Consented) -> None:
    consent_id = await consented(overrides={"acts": ["QUERY"]})
    await bank.query_credit(question(SUBJECT, consent_id))
    with pytest.raises(BashuCallError) as refused:
        await bank.evaluate_credit(question(SUBJECT, consent_id))
    assert refused.value.reason == "SCOPE_EXCEEDED"


async def test_what_public_hard_stops_need_is_asked_though_not_granted(bank: Bashu, consented: Consented) -> None:
    consent_id = await consented(items=["tax_credit_grade"])
    answer = await bank.evaluate_credit(question(SUBJECT, consent_id))
    assert {"enterprise_registration", "dishonest_judgment_debtor"} <= set(answer.effective_scope.data_items)
    assert "administrative_penalty" not in answer.effective_scope.data_items
    assert (answer.evaluation.grade, answer.evaluation.no_grade_reason) == ("XYD-N", "NOT_GRANTED")


def run(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bashu", *arguments, "--dev", str(stack.state), "--as", "bank-cq"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


async def test_the_commands_print_the_borrowers_text_and_a_ratings_range(stack: Stack, consented: Consented) -> None:
    named = ("--consent", await consented(), "--purpose", "PRE_LOAN_REVIEW", "--application-reference", "A1")
    written = run(stack, "evaluate", SUBJECT, *named, "--written")
    assert written.returncode == 0, written.stderr
    assert written.stdout.startswith("参考评价书面说明")
    moved = run(stack, "rating", "translate", "customs_2021", "other", "customs_2026", "--json")
    assert json.loads(moved.stdout)["best"] == "certified"
    refused = run(stack, "rating", "translate", "tax_credit_2018", "M", "public_credit_composite", "--json")
    assert json.loads(refused.stdout)["refusal"] == "INSUFFICIENT_HISTORY"
    assert run(stack, "rating", "translate", "no_such_scale", "M", "customs_2026").returncode == 1


def test_the_catalogue_lists_items_fields_and_codes_as_table_json_and_csv(stack: Stack) -> None:
    assert "enterprise_registration" in run(stack, "catalogue", "--online").stdout
    item = json.loads(run(stack, "catalogue", "--online", "tax_arrears", "--json").stdout)
    assert item["id"] == "tax_arrears"
    head, *rows = run(stack, "catalogue", "--online", "tax_arrears", "--csv").stdout.splitlines()
    assert head.startswith("field,zh,en,type")
    assert len(rows) == len(item["fields"])
    assert "增值税" in run(stack, "catalogue", "--online", "--codes", "tax_kind").stdout
    assert run(stack, "catalogue", "--online", "no_such_item").returncode == 2
    assert run(stack, "catalogue", "--online", "--codes", "no_such_list").returncode == 1
