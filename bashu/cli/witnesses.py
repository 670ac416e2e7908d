"""`--witness`, `--quorum`: whom a command trusts to have seen the log beside its own signature."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bashu.cli.session import read_bytes, usage
from bashu.verify import Cosigned, VerificationError, WitnessPolicy

WitnessOption = Annotated[
    list[str] | None,
    typer.Option("--witness", help="见证方公钥（可重复） a witness's vkey, or a file with it (repeat)", metavar="VKEY"),
]
QuorumOption = Annotated[
    int | None,
    typer.Option("--quorum", min=1, help="至少几家附署 how many have to have cosigned; without it all", metavar="N"),
]


WitnessedOption = Annotated[
    bool, typer.Option("--witnessed", help="有见证的检查点 under the newest checkpoint that a quorum cosigned")
]


def policy(witnesses: list[str] | None, quorum: int | None) -> WitnessPolicy | None:
    """Return whom to ask for, None where no witness was named; ends the command where a key is none."""
    if not witnesses:
        if quorum is not None:
            usage("--quorum needs --witness")
        return None
    try:
        return WitnessPolicy.parse([_vkey(given) for given in witnesses], quorum)
    except VerificationError as error:
        usage(str(error))


def cosigned_facts(cosigned: tuple[Cosigned, ...]) -> dict[str, Any]:
    """Return who cosigned and when, as a member of an answer; nothing where nobody was asked for."""
    if not cosigned:
        return {}
    return {"cosigned": [f"{one.witness} {one.at.isoformat().replace('+00:00', 'Z')}" for one in cosigned]}


def _vkey(given: str) -> str:
    return given if "+" in given else read_bytes(Path(given)).decode("utf-8", "replace").strip()
