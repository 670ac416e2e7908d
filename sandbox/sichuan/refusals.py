"""Answers other than 200: a status and a plain text (docs/platforms/sichuan.md section 8)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final


class Refusal(Exception):  # noqa: N818 - named after the fact
    """An answer that is not 200; in a report, the answer of one module."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


AUTHORIZATION_REQUIRED: Final = "authorization required"
SUBJECT_MISMATCH: Final = "authorization subject mismatch"
SCOPE_EXCEEDED: Final = "authorization scope exceeded"


def invalid(name: str) -> Refusal:
    """Return the refusal of a parameter; the value is never repeated."""
    return Refusal(HTTPStatus.BAD_REQUEST, f"invalid parameter: {name}")


def forbidden(text: str) -> Refusal:
    """Return a 403."""
    return Refusal(HTTPStatus.FORBIDDEN, text)


def unknown_module(module: str) -> Refusal:
    """Return the refusal of a module that is not served."""
    return Refusal(HTTPStatus.NOT_FOUND, f"unknown module: {module}")


def failed(server: str) -> Refusal:
    """Return the failure of a department's server, the one a caller may retry."""
    return Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, f"request to {server}-server failed")


def timed_out(server: str) -> Refusal:
    """Return the silence of a department's server inside a report."""
    return Refusal(HTTPStatus.GATEWAY_TIMEOUT, f"request to {server}-server timed out")
