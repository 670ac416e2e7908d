"""Print a client's profile for a borrower's agent of a dev stack: ``python -m loadtest.agent --dev .dev --code …``."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from bashu.profiles import Profile
from core.commitments import subject_commitment
from loadtest.stack import Authority, Stack, read_stack

AGENT: Final = "subject-portal"
ACTOR: Final = hashlib.sha256(b"the natural person who acts, in the sandbox").hexdigest()


def agent_profile(stack: Stack, identifier: str, *, id_type: str = "uscc", authority: str = "authority-cq") -> Profile:
    """Return how the portal calls for one subject, as the authority that signed its consents commits to it."""
    profile = Profile.of_dev_stack(stack.state, AGENT)
    return replace(profile, claims=claims_for(stack.authorities[authority], identifier, id_type=id_type))


def claims_for(authority: Authority, identifier: str, *, id_type: str = "uscc") -> dict[str, str]:
    """Return what a SUBJECT_AGENT's token says beside its own name."""
    commitment = subject_commitment(authority.commitment_key.read_bytes(), id_type, identifier)
    mandate = "LEGAL_REPRESENTATIVE" if id_type == "uscc" else "SELF"
    return {"sbj": commitment, "act": ACTOR, "mandate": mandate, "acr": "sandbox"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the profile; return the exit code (2: usage)."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.agent", description=__doc__)
    parser.add_argument("--dev", type=Path, required=True, help="开发环境目录 folder of `bashu-gateway dev`")
    parser.add_argument("--code", required=True, help="统一社会信用代码 for whom")
    parser.add_argument("--authority", default="authority-cq", help="授权服务方 whose consents (default %(default)s)")
    chosen = parser.parse_args(arguments)
    try:
        stack = read_stack(chosen.dev.parent if chosen.dev.is_file() else chosen.dev)
    except FileNotFoundError:
        print(f"{chosen.dev}: is the development stack running?", file=sys.stderr)
        return 2
    if chosen.authority not in stack.authorities:
        print(f"no authority {chosen.authority}; there are {', '.join(sorted(stack.authorities))}", file=sys.stderr)
        return 2
    print(_toml(agent_profile(stack, chosen.code, authority=chosen.authority)))
    return 0


def _toml(profile: Profile) -> str:
    names = (
        "endpoint",
        "participant",
        "kid",
        "private_key",
        "ca",
        "certificate",
        "certificate_key",
        "audience",
        "vkey",
    )
    values = {name: getattr(profile, name) for name in names}
    # A JSON string is a TOML basic string.
    lines = [f"{name} = {json.dumps(str(value))}" for name, value in values.items() if value is not None]
    claims = [f"{name} = {json.dumps(value)}" for name, value in profile.claims.items()]
    return "\n".join([*lines, "", "[claims]", *claims])


if __name__ == "__main__":
    sys.exit(main())
