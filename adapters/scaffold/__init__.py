"""Make the beginnings of an adapter: one that works, with simulator, golden files and tests, to be changed by steps."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Final

from adapters.registry import BUILDERS

TEMPLATES: Final = Path(__file__).parent
ENDING: Final = ".tmpl"
NAME: Final = re.compile(r"[a-z][a-z0-9_]{1,30}")


class Kind(StrEnum):
    """A description alone, or a Python package."""

    FILE = "file"
    PYTHON = "python"


class ScaffoldRefused(Exception):  # noqa: N818 - named after the fact
    """Nothing was written; the message names the value and the rule."""


def scaffold(name: str, folder: Path, kind: Kind) -> list[Path]:
    """Write a new adapter into ``folder``, which must not exist, and return the files in order.

    Raises ScaffoldRefused, and OSError where the folder cannot be written.
    """
    if NAME.fullmatch(name) is None:
        raise ScaffoldRefused(f"{name}: a name is 2 to 31 of a-z, 0-9 and _, and begins with a letter")
    if name in BUILDERS:
        raise ScaffoldRefused(f"{name}: an adapter of that name is shipped with the gateway")
    if folder.exists():
        raise ScaffoldRefused(f"{folder}: exists already; nothing was written")
    values = _values(name, kind)
    written = []
    for root in (TEMPLATES / "both", TEMPLATES / kind.value):
        for template in sorted(root.rglob(f"*{ENDING}")):
            target = folder / _filled(str(template.relative_to(root)).removesuffix(ENDING), values)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(_filled(template.read_text(encoding="utf-8"), values), encoding="utf-8")
            written.append(target)
    return written


def _values(name: str, kind: Kind) -> dict[str, str]:
    is_file = kind is Kind.FILE
    class_name = "".join(part.capitalize() for part in name.split("_"))
    installed = (
        ""
        if is_file
        else f"""
@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    \"\"\"Let the registry know the adapter before its package is installed.\"\"\"
    monkeypatch.setattr(registry, "BUILDERS", {{**registry.BUILDERS, "{name}": build_adapter}})

"""
    )
    imported = (
        f"from adapters import registry  # noqa: E402\nfrom {name}_adapter import build as build_adapter  # noqa: E402"
    )
    return {
        "__IMPORT__\n": "" if is_file else f"{imported}\n",
        "__INSTALLED__": installed,
        "__DESCRIPTION__": f', "description": ROOT / "{name}.toml"' if is_file else "",
        "__ADAPTER__": "rest_json" if is_file else name,
        "__WHAT__": f"`{name}.toml`" if is_file else f"`{name}_adapter/`",
        "__HOW__": (
            f"`bashu-gateway adapter lint {name}.toml` checks the file alone."
            if is_file
            else "`pip install --no-deps -e .` (`uv pip` where there is no pip)\n"
            "in the gateway's environment makes the gateway find it (`bashu-gateway adapter list`)."
        ),
        "__CLASS__": class_name,
        "__NAME__": name,
    }


def _filled(text: str, values: dict[str, str]) -> str:
    for mark, value in values.items():
        text = text.replace(mark, value)
    return text
