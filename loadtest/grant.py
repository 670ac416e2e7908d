"""Sign one consent as a borrower's authority would, and print it: ``python -m loadtest.grant --dev .dev …``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from loadtest.authority import PURPOSE_TEXTS, Grant, SigningAuthority, letter_capture
from loadtest.demo import ITEMS
from loadtest.enquiries import COUNTED
from loadtest.stack import read_stack
from sandbox.persons import PERSONAL_ITEMS
from standards.catalogue import load_standard

PERSONS_ITEMS: Final = tuple(sorted(PERSONAL_ITEMS))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the signed artefact; return the exit code (2: usage)."""
    chosen = _parser().parse_args(arguments)
    folder: Path = chosen.dev.parent if chosen.dev.is_file() else chosen.dev
    try:
        stack = read_stack(folder)
    except FileNotFoundError:
        print(f"{folder / 'dev.json'}: is the development stack running?", file=sys.stderr)
        return 2
    if chosen.authority not in stack.authorities:
        print(f"no authority {chosen.authority}; there are {', '.join(sorted(stack.authorities))}", file=sys.stderr)
        return 2
    grant = Grant(
        institution=chosen.institution,
        identifier=chosen.code,
        id_type="citizen_id" if chosen.person else "uscc",
        items=_items(chosen),
        acts=COUNTED if chosen.evaluation else ("QUERY", "EVALUATE"),
        optional_items=tuple(chosen.optional_item or ()),
        display=chosen.display,
        purpose=chosen.purpose,
        platforms=tuple(chosen.platform or ("chongqing", "sichuan")),
        days=chosen.days,
        max_uses=chosen.max_uses,
    )
    authority = stack.authorities[chosen.authority]
    if chosen.letter is not None:
        # The paper is the lender's to keep, and its own key vouches for it.
        lender = stack.participants[chosen.institution]
        authority = replace(
            authority, authority_id=lender.participant_id, kid=lender.kid, private_key=lender.private_key
        )
        grant = replace(grant, overrides={"capture": letter_capture(chosen.letter.read_bytes())})
    print(SigningAuthority(authority).sign(grant).decode())
    return 0


def _items(chosen: argparse.Namespace) -> tuple[str, ...]:
    if chosen.item:
        return tuple(chosen.item)
    if chosen.person:
        return PERSONS_ITEMS
    if not chosen.evaluation:
        return ITEMS
    card = load_standard().card
    read = {item for rule in card.indicators for item in rule.items} | set(card.hard_stop_items)
    return tuple(sorted(read | set(ITEMS)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m loadtest.grant", description=__doc__)
    parser.add_argument("--dev", type=Path, required=True, help="开发环境目录 folder of `bashu-gateway dev`")
    parser.add_argument("--institution", required=True, help="信息使用机构 who may ask, for example bank-cq")
    parser.add_argument("--code", required=True, help="统一社会信用代码 whose information it is")
    parser.add_argument("--person", action="store_true", help="自然人 the code is an invented person's identity number")
    parser.add_argument("--authority", default="authority-cq", help="授权服务方 who signs (default %(default)s)")
    parser.add_argument(
        "--letter", type=Path, help="纸质授权书 scan of the sealed paper: the lender signs, not an authority"
    )
    parser.add_argument("--item", action="append", help="数据项 data item id; repeat it; default all 15 served")
    parser.add_argument(
        "--evaluation",
        action="store_true",
        help="参考评价 what the reference evaluation reads too, and the count of enquiries",
    )
    parser.add_argument(
        "--optional-item", action="append", help="可选数据项 item the borrower could leave out; repeat it"
    )
    parser.add_argument("--platform", action="append", help="平台 platform id; repeat it; default both")
    parser.add_argument(
        "--purpose",
        default="PRE_LOAN_REVIEW",
        help=f"用途 purpose, for example {', '.join(PURPOSE_TEXTS)} (default %(default)s)",
    )
    parser.add_argument("--days", type=int, default=90, help="有效天数 days it lasts (default %(default)s)")
    parser.add_argument("--max-uses", type=int, default=3, help="可用次数 uses (default %(default)s)")
    parser.add_argument("--display", default="", help="名称 subject as shown to people")
    return parser


if __name__ == "__main__":
    sys.exit(main())
