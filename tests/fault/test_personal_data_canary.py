"""Planted personal data, codes and names of subjects are looked for wherever something is kept or said, and not found."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bashu.client import Bashu
from bashu.errors import BashuCallError
from bashu.v1 import report_pb2, subject_pb2
from database import open_database
from loadtest.agent import agent_profile
from loadtest.authority import Grant, SigningAuthority
from loadtest.demo import ITEMS as DEMO_ITEMS
from loadtest.observation import control
from loadtest.questions import Wire, question
from loadtest.stack import Stack

INDISCREET = "91500105XXTT0019XL"
LISTS = (
    "registration_change", "serious_dishonest_list", "major_tax_violation", "court_judgment", "cash_flow_monthly",
    "intellectual_property", "administrative_permission", "housing_provident_fund",
)  # fmt: skip
ITEMS = (*DEMO_ITEMS, *LISTS)
NAME = "重庆示例十九号印刷有限公司"
PLANTED = (
    "50010519XXXXXX0000",
    "500105209901010015",
    "13000000000",
    "样本身份证件",
    "不存在省样本市无名路0号",
    "郑样本甲",
)
"""docs/platforms/subjects.md, section 2."""
OTHERS = ("91500105XXTT00018M", "91510107XXTT00026H", "91500105XXTT00034B", "91500105XXTT001732", "92500112XXTT00130M")
"""Fixed subjects with some planted values."""
PEOPLE = ("张样本", "李样本", "赵样本", "钱样本", "孙样本")
DROPPED = {
    "chongqing": {
        "enterprise_registration": 2,
        "shareholder_and_capital": 2,
        "enterprise_key_personnel": 4,
        "social_insurance_payment": 1,
        "administrative_penalty": 2,
        "judgment_debtor": 1,
        "dishonest_judgment_debtor": 1,
        "financing_guarantee": 2,
        "registration_change": 3,
        "serious_dishonest_list": 1,
        "major_tax_violation": 1,
        "court_judgment": 2,
        "cash_flow_monthly": 1,
        "intellectual_property": 1,
        "administrative_permission": 3,
        "housing_provident_fund": 1,
    },
    "sichuan": {
        "enterprise_registration": 2,
        "shareholder_and_capital": 4,
        "enterprise_key_personnel": 4,
        "branch_registration": 1,
        "social_insurance_payment": 1,
        "administrative_penalty": 2,
        "judgment_debtor": 1,
        "dishonest_judgment_debtor": 1,
        "financing_guarantee": 2,
        "registration_change": 3,
        "serious_dishonest_list": 1,
        "major_tax_violation": 1,
        "court_judgment": 2,
        "cash_flow_monthly": 1,
        "intellectual_property": 1,
        "administrative_permission": 3,
        "housing_provident_fund": 1,
    },
}
"""Values that each platform should not have sent about the indiscreet subject: every class-3 tag of both pages, once."""
IN_TEXTS = {
    "administrative_penalty": 18,
    "judgment_debtor": 3,
    "dishonest_judgment_debtor": 15,
    "registration_change": 3,
    "serious_dishonest_list": 12,
    "major_tax_violation": 15,
    "court_judgment": 6,
    "intellectual_property": 3,
    "administrative_permission": 12,
}
"""A citizen's number, a telephone and a home address in every free text of that subject: found by form, masked."""
PAGES = Path(__file__).parents[2] / "docs" / "platforms"
TABLES = """SELECT (quote_ident(table_schema) || '.' || quote_ident(table_name))::regclass::text AS name FROM information_schema.tables
    WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')"""


def test_the_indiscreet_subject_has_as_many_planted_values_as_the_page_of_chongqing_has_tags() -> None:
    lines = [line for line in (PAGES / "chongqing.md").read_text().splitlines() if "**C3**" in line]
    cells = [line.split("|")[1:3] for line in lines if line.startswith("|")]
    # A tag's own row names it first; a list's row names its class-3 tags just before the mark.
    lists = [re.search(r"((?:`[A-Z]+`(?: \([^)]*\))?(?:, )?)+) \*\*C3\*\*", cell[1]) for cell in cells]
    named = [cell[0] if found is None else found[1] for cell, found in zip(cells, lists, strict=True)]
    tags = [tag for text in named for tag in re.findall(r"`([A-Z/]+)`", text)]
    assert len(tags) == sum(DROPPED["chongqing"].values())


async def asked(bank: Bashu, authority: SigningAuthority, code: str, name: str = "") -> report_pb2.CreditReport:
    grant = Grant(institution="bank-cq", identifier=code, items=ITEMS)
    await bank.register_consent(authority.sign(grant))
    request = question(code, str(grant.consent_id))
    request.subject.enterprise.name = name
    return (await bank.query_credit(request)).report


@pytest.fixture
async def told(stack: Stack, bank: Bashu, authority: SigningAuthority) -> list[str]:
    """Reports and errors of good and bad queries about subjects with planted data."""
    reports = [words(await asked(bank, authority, code)) for code in (INDISCREET, *OTHERS)]
    errors: list[str] = []
    for kind in ("wrong_subject", "wrong_encoding", "wrong_signature", "maintenance"):
        for platform in ("chongqing", "sichuan"):
            control(stack, "faults", {"platform": platform, "kind": kind, "subject": INDISCREET, "count": 1})
        try:
            errors.append(words(await asked(bank, authority, INDISCREET, NAME)))
        except BashuCallError as error:
            errors.append(f"{error!r} {error}")
    consent = Grant(institution="bank-cq", identifier=OTHERS[0], items=ITEMS)
    await bank.register_consent(authority.sign(consent))
    for code, name in ((INDISCREET, NAME), (INDISCREET[:-1] + "0", NAME), (NAME, NAME)):
        request = question(code, str(consent.consent_id))
        request.subject.enterprise.name = name
        with pytest.raises(BashuCallError) as refused:
            await bank.query_credit(request)
        errors.append(f"{refused.value!r} {refused.value}")
    own, refusal = await written(stack)
    errors.append(refusal)
    assert not found_in("\n".join(errors[-4:]), (INDISCREET, NAME))
    return [*reports, own, *errors]


async def written(stack: Stack) -> tuple[str, str]:
    """Have a subject use its rights with planted words in what it writes; return its own report and a refusal."""
    subject, reason = question(INDISCREET, "").subject, " ".join(PLANTED)
    subject.enterprise.name = NAME
    async with Wire(agent_profile(stack, INDISCREET)) as agent, Wire(agent_profile(stack, OTHERS[0])) as stranger:
        freeze = subject_pb2.FreezeFileRequest(subject=subject, reason=reason)
        await agent.call(agent.subject.FreezeFile, freeze)
        await agent.call(agent.subject.ThawFile, subject_pb2.ThawFileRequest(subject=subject))
        report = subject_pb2.RequestOwnReportRequest(subject=subject)
        own = (await agent.call(agent.subject.RequestOwnReport, report)).report
        erase = subject_pb2.RequestErasureRequest(subject=subject, reason=reason)
        await agent.call(agent.subject.RequestErasure, erase)
        with pytest.raises(BashuCallError) as refused:
            await stranger.call(stranger.subject.FreezeFile, freeze)
    return words(own), f"{refused.value!r} {refused.value}"


def words(report: report_pb2.CreditReport) -> str:
    return report.SerializeToString().decode("utf-8", "replace")


def found_in(text: str | bytes, wanted: tuple[str, ...]) -> set[str]:
    haystack = text.encode() if isinstance(text, str) else text
    return {value for value in wanted if value.encode() in haystack or value.encode("gb18030") in haystack}


async def kept(stack: Stack) -> dict[str, list[bytes]]:
    """Every value of every table of both databases, as the owner sees it, also what is base64 inside it."""
    rows = {}
    for dsn in ("owner", "keys-owner"):
        db = await open_database((stack.state / "dsn" / dsn).read_text().strip(), min_size=1, max_size=1)
        try:
            for row in await db.fetch(TABLES):
                rows[f"{dsn}: {row['name']}"] = await db.fetch(f"SELECT * FROM {row['name']}")
        finally:
            await db.close()
    return {
        table: [text for row in found for value in row.values() for text in texts(value)]
        for table, found in rows.items()
    }


def texts(value: Any) -> Iterator[bytes]:
    if isinstance(value, dict):
        for name, member in value.items():
            yield from texts(name)
            yield from texts(member)
    elif isinstance(value, list | tuple):
        for member in value:
            yield from texts(member)
    elif value is not None:
        raw = value if isinstance(value, bytes) else str(value).encode()
        yield raw
        for part in re.findall(rb"[A-Za-z0-9_-]{40,}", raw):
            try:
                yield base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
            except binascii.Error:
                continue


async def test_personal_values_are_counted_and_nowhere_to_be_found(
    stack: Stack, bank: Bashu, authority: SigningAuthority, told: list[str]
) -> None:
    report = await asked(bank, authority, INDISCREET, NAME)
    dropped: dict[str, dict[str, int]] = {"chongqing": {}, "sichuan": {}}
    for result in report.platform_results:
        if result.dropped_personal_values:
            dropped[result.platform_id][result.data_item] = result.dropped_personal_values
    wanted = {
        platform: {item: count + IN_TEXTS.get(item, 0) for item, count in tags.items()}
        for platform, tags in DROPPED.items()
    }
    assert dropped == wanted
    masked = words(report).count("〔号码已略〕"), words(report).count("〔住址已略〕")
    assert masked[0] >= 2 * masked[1] >= sum(IN_TEXTS.values()) * 2 // 3
    assert found_in(words(report), (INDISCREET, NAME, *PEOPLE))
    assert not found_in("\n".join([*told, words(report)]), PLANTED)

    personal = (*PLANTED, INDISCREET, NAME, *OTHERS, *PEOPLE)
    tables = await kept(stack)
    assert tables["owner: consent"]
    assert tables["owner: sealed_detail"]
    assert tables["keys-owner: data_key"]
    assert any(found_in(value, ("bank-cq",)) for value in tables["owner: ledger_entry"])
    for table, values in tables.items():
        assert not set().union(*(found_in(value, personal) for value in values)), table

    logs = [path for path in stack.state.rglob("*.log") if (stack.state / "sandbox") not in path.parents]
    assert {path.name for path in logs} >= {"gateway.log", "sealer.log", "dev.log"}
    for path in logs:
        assert not found_in(path.read_bytes(), personal), path.name


async def test_no_file_of_the_gateway_holds_a_planted_value(stack: Stack, told: list[str]) -> None:
    """Write-ahead log and data files of the database too: what was ever sent to it would be there."""
    assert told
    files = [
        path for path in stack.state.rglob("*") if path.is_file() and (stack.state / "sandbox") not in path.parents
    ]
    assert files
    assert not {path.name: found for path in files if (found := found_in(path.read_bytes(), (*PLANTED, INDISCREET)))}
