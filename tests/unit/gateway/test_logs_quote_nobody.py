"""What other libraries log, and what a dying process says last, names types and places and repeats no message."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

from gateway.logs import WordlessFormatter

SECRET = "91500105XXTT00018M"


def test_a_librarys_line_keeps_where_and_drops_what_it_said():
    try:
        int(SECRET)
    except ValueError:
        record = logging.LogRecord("asyncpg.pool", logging.WARNING, "x.py", 1, "%s", (SECRET,), sys.exc_info())
    line = WordlessFormatter().format(record)
    assert SECRET not in line
    assert json.loads(line)["fault"][0].startswith("builtins.ValueError at test_logs_quote_nobody.py")


def test_the_last_words_of_a_process_quote_nothing():
    program = (
        "from gateway.logs import configure_logs; configure_logs(process='p')\n"
        f"try: raise ValueError({SECRET!r})\n"
        f"except ValueError as error: raise RuntimeError({SECRET!r}) from error"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 1
    assert SECRET not in ended.stdout + ended.stderr
    assert "process_failed" in ended.stderr
    assert "builtins.ValueError" in ended.stderr
