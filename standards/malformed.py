"""The one error of every conversion: a platform's text is not what its interface says."""

from __future__ import annotations

from core.errors import BashuError, Reason, Turn


class MalformedValueError(BashuError):
    """A value at ``path`` is not what ``expected`` describes; the value itself is never shown."""

    def __init__(self, path: str, expected: str) -> None:
        super().__init__(
            Reason.MALFORMED,
            f"{path}: expected {expected}",
            metadata={"path": path},
            turn=Turn.PLATFORM,
            field=path,
        )
        self.path = path
        self.expected = expected
