"""Logs: one JSON object a line on standard error. Never an identity number, a name, a value or a token."""

from __future__ import annotations

import logging
import sys
from types import TracebackType
from typing import Any, Final

import orjson
import structlog

from gateway.faults import fault_lines

_ENDED: Final = "process_failed"


def configure_logs(*, process: str) -> None:
    """Send structlog's events to standard error as JSON; ``process`` stands in each line."""
    structlog.contextvars.bind_contextvars(process=process)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(serializer=_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.BytesLoggerFactory(file=sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    # grpc and asyncio speak through the standard library; what they say may quote values, so only that they spoke.
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(WordlessFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    sys.excepthook = _say_where


class WordlessFormatter(logging.Formatter):
    """Writes who spoke and, of an exception, types and places; never a message, which may quote a value."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one JSON object."""
        line: dict[str, Any] = {"level": record.levelname, "logger": record.name}
        if record.exc_info and record.exc_info[1] is not None:
            line["fault"] = fault_lines(record.exc_info[1])
        return orjson.dumps(line).decode()


def _say_where(_kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
    """Stand in for the interpreter's last words, which would print the messages of every cause."""
    structlog.get_logger(__name__).error(_ENDED, fault=fault_lines(error))


def _json(event: Any, **_options: Any) -> bytes:
    return orjson.dumps(event, default=str)
