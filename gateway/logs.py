"""Logs: one JSON object a line on standard error. Never an identity number, a name, a value or a token."""

from __future__ import annotations

import logging
import sys
from typing import Any

import orjson
import structlog


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
    logging.basicConfig(
        level=logging.WARNING, format='{"level":"%(levelname)s","logger":"%(name)s"}', stream=sys.stderr
    )


def _json(event: Any, **_options: Any) -> bytes:
    return orjson.dumps(event, default=str)
