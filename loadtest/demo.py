"""The main job, told as a story: consent, one question to both regions, a receipt that verifies offline, revocation.

Every step is a command a user can repeat; it is printed before its output. Exit 0 only when each step did what it
should.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import UUID

from bashu.v1 import report_pb2
from loadtest.authority import Grant, SigningAuthority
from loadtest.stack import Stack, dev_stack

SUBJECT: Final = "91500105XXTT00018M"
"""Registered in Chongqing, with a branch in Sichuan."""

ITEMS: Final = (
    "enterprise_registration",
    "branch_registration",
    "enterprise_key_personnel",
    "shareholder_and_capital",
    "tax_credit_grade",
    "tax_payment",
    "sales_invoice_monthly",
    "tax_arrears",
    "social_insurance_payment",
    "administrative_penalty",
    "judgment_debtor",
    "dishonest_judgment_debtor",
    "financing_guarantee",
    "public_credit_evaluation",
    "platform_score",
)
REFUSED: Final = 1
"""Exit code of ``bashu`` for a refusal with a reason."""


class StepFailed(Exception):  # noqa: N818 - named after the fact
    """A step did not do what it should; the message says which and how."""


def main() -> int:
    """Run the demo; return the exit code."""
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="bashu-demo-") as folder:
            _tell_story(Path(folder))
    except (StepFailed, RuntimeError) as failed:
        print(f"\n演示失败 The demo failed: {failed}", file=sys.stderr)
        return 1
    print(f"\n演示完成 The demo did all it should, in {time.monotonic() - began:.1f} s.")
    return 0


def _tell_story(folder: Path) -> None:
    with contextlib.ExitStack() as stack_lifetime:
        with _step("启动 Start PostgreSQL, both sandbox platforms, the gateway and the sealer"):
            stack = stack_lifetime.enter_context(dev_stack(state=folder / "state"))
        consent_id = _grant(stack, folder)
        kept = folder / "kept"
        question = ["query", "--code", SUBJECT, "--consent", str(consent_id), "--purpose", "PRE_LOAN_REVIEW"]
        question += ["--application-reference", "DEMO-APP-1"]
        with _step("查询 Ask both regions one question"):
            _run(stack, "bank-cq", *question, "--save-receipt", str(kept))
            _expect_both_platforms(kept / "report.bin")
        with _step("核验 Verify the receipt offline, with code that shares nothing with the gateway"):
            _bashu("verify", "receipt", str(kept), "--vkey", stack.ledger_vkey)
        with _step("撤回 The borrower takes the consent back"):
            _run(stack, "authority-cq", "consent", "revoke", str(consent_id), "--reason", "SUBJECT_REQUEST")
        with _step("拒绝 The same question is refused"):
            said = _run(stack, "bank-cq", *question, expected=REFUSED)
            if "CONSENT_REVOKED" not in said:
                raise StepFailed("the refusal does not name CONSENT_REVOKED")
        with _step("停止 Stop everything"):
            stack_lifetime.close()


def _grant(stack: Stack, folder: Path) -> UUID:
    artefact = folder / "consent.jws"
    with _step("授权 The authority signs the borrower's consent, the bank registers it"):
        grant = Grant(institution="bank-cq", identifier=SUBJECT, items=ITEMS, display="重庆示例一号机电有限公司")
        artefact.write_bytes(SigningAuthority(stack.authorities["authority-cq"]).sign(grant))
        _run(stack, "bank-cq", "consent", "register", str(artefact))
    return grant.consent_id


def _expect_both_platforms(report_file: Path) -> None:
    report = report_pb2.CreditReport.FromString(report_file.read_bytes())
    platforms = {source.platform_id for source in report.sources}
    if not {"chongqing", "sichuan"} <= platforms or not report.records:
        raise StepFailed(f"the report has records from {sorted(platforms)} only")
    asked = {result.platform_id for result in report.platform_results}
    if asked != {"chongqing", "sichuan"}:
        raise StepFailed("the report does not give a status for each platform")


def _run(stack: Stack, participant: str, *arguments: str, expected: int = 0) -> str:
    return _bashu(*arguments, "--dev", str(stack.state), "--as", participant, expected=expected)


def _bashu(*arguments: str, expected: int = 0) -> str:
    shown = " ".join(argument if " " not in argument else repr(argument) for argument in arguments)
    print(f"$ bashu {shown}", flush=True)
    done = subprocess.run(  # noqa: S603 - our own command line
        [sys.executable, "-m", "bashu", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )
    print(done.stdout, end="", flush=True)
    if done.returncode != expected:
        raise StepFailed(f"`bashu {arguments[0]}` ended with exit code {done.returncode}, not {expected}")
    return done.stdout


@contextlib.contextmanager
def _step(title: str) -> Iterator[None]:
    print(f"\n■ {title}", flush=True)
    began = time.monotonic()
    yield
    print(f"  ({time.monotonic() - began:.2f} s)", flush=True)


if __name__ == "__main__":
    sys.exit(main())
