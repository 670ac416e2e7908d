"""Make a platform's own words fit for a log line."""

from __future__ import annotations

import re
from typing import Final

MAX_LOGGED: Final = 120
"""Characters of a platform's text that a log line may hold."""
_SECRETS: Final = re.compile(
    # A JWS first (its parts would match less), then long tokens, then identifiers and numbers of persons and firms.
    r"(?P<jws>[\w-]{8,}\.[\w-]{2,}\.[\w-]{8,})|(?P<token>[A-Za-z0-9+/=_.-]{32,})|(?P<id>[0-9A-HJ-NP-RT-Yxa-z]{15,18})|(?P<number>\d{7,})",
)
_CHINESE: Final = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff]{2,}")


def redacted(text: str) -> str:
    """Return ``text`` short, on one line, without tokens, identifiers, long numbers and Chinese names.

    Chinese runs go too: a platform's error may quote a name, and nothing tells a name from a sentence.
    """
    line = " ".join(text[: 4 * MAX_LOGGED].split())
    line = _SECRETS.sub(lambda match: f"<{match.lastgroup}>", line)
    return _CHINESE.sub("<text>", line)[:MAX_LOGGED]
