"""An export into a file, which a broken connection or a closed laptop only interrupts.

Beside FILE stands FILE.resume until the export is complete: what was asked, and the size of the checkpoint that every
proof leads to. Continued with both, the file becomes the same to the byte as one written without a break.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Final

from bashu.client import Bashu
from bashu.v1 import common_pb2
from bashu.verify import Selection

SYNC_EVERY: Final = 1000
"""Lines between two flushes to the disk, and between two calls of ``progress``."""
_LONGEST_LINE: Final = 256 * 1024


class ExportRefusedError(Exception):
    """The file cannot be written or continued; the message says why."""


async def export_to(
    client: Bashu,
    file: Path,
    selection: Selection,
    *,
    subject: common_pb2.Subject | None = None,
    progress: Callable[[int], None] | None = None,
    witnessed: bool = False,
) -> int:
    """Write or continue an export; return how many leaves this run added.

    ``subject`` is not kept beside the file: who continues an export of one subject names it again. ``witnessed``: up to
    the newest checkpoint that the gateway's quorum of witnesses cosigned.

    Raises:
        ExportRefusedError: the file is there already and is no interrupted export of the same.
        BashuCallError: refused, or interrupted: called again it goes on.
    """
    resume = file.with_name(f"{file.name}.resume")
    kept = _kept(file, resume, selection)
    if kept is not None:
        tree_size, next_index = kept
    else:
        tree_size, next_index = (await client.get_checkpoint(witnessed=witnessed)).tree_size, selection.from_index
        _write_new(resume, json.dumps({"tree_size": tree_size, "selection": asdict(selection)}).encode())
        _write_new(file, b"")
    added = 0
    if next_index is not None:
        added = await _append(client, file, selection, (next_index, tree_size), subject=subject, progress=progress)
    resume.unlink()
    return added


async def _append(
    client: Bashu,
    file: Path,
    selection: Selection,
    where: tuple[int, int],
    *,
    subject: common_pb2.Subject | None,
    progress: Callable[[int], None] | None,
) -> int:
    lines = client.export_entries(
        from_index=where[0],
        tree_size=where[1],
        consent_id=selection.consent_id,
        institution=selection.institution,
        month=selection.month,
        day=selection.day,
        subject=subject,
    )
    written = 0
    with file.open("ab") as out:
        async for line in lines:
            out.write(line + b"\n")
            written += 1
            if written % SYNC_EVERY == 0:
                _sync(out)
                if progress is not None:
                    progress(written)
        _sync(out)
    return max(written - 1, 0)


def _kept(file: Path, resume: Path, selection: Selection) -> tuple[int, int | None] | None:
    """Return tree size and next index (None: only the last step is missing) of an interrupted export, None of none."""
    if not file.exists():
        return None
    try:
        kept: dict[str, Any] = json.loads(resume.read_bytes())
    except FileNotFoundError as error:
        raise ExportRefusedError(f"{file} is there and complete: name another file") from error
    if Selection(**kept["selection"]) != selection:
        raise ExportRefusedError(f"{file} was begun with other filters: name another file")
    last = _cut_to_whole_lines(file)
    if last is None:
        return kept["tree_size"], selection.from_index
    line = json.loads(last)
    return kept["tree_size"], None if "checkpoint" in line else line["leaf_index"] + 1


def _cut_to_whole_lines(file: Path) -> bytes | None:
    """Cut off what follows the last line feed, and return the line before it, None where there is none."""
    with file.open("r+b") as kept:
        size = kept.seek(0, os.SEEK_END)
        start = max(size - _LONGEST_LINE, 0)
        kept.seek(start)
        tail = kept.read()
        end = tail.rfind(b"\n") + 1
        kept.truncate(start + end)
    return tail[:end].splitlines()[-1] if end else None


def _sync(out: IO[bytes]) -> None:
    out.flush()
    os.fsync(out.fileno())


def _write_new(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
