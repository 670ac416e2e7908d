"""`bashu-gateway adapter`: which adapters are installed, and whether a declarative one's file is right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Final

import typer

FAULTY: Final = 2
EXIT_CODES: Final = "退出码 exit codes: 0 成功 done · 2 用法、设置或描述文件有误 usage, or the file is wrong"

adapter_app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="适配器：已安装的、声明式文件的检查. Adapters: which are installed, and checks of declarative files.",
)


@adapter_app.command("list", epilog=EXIT_CODES)
def list_(*, as_json: Annotated[bool, typer.Option("--json", help="JSON 输出 Print JSON.")] = False) -> None:
    """已安装的适配器. Every adapter that settings may name, and where it comes from."""
    from adapters.registry import installed

    rows = [
        {
            "name": name,
            "from": "bashu-gateway" if point is None else point.dist.name if point.dist else "",
            "builder": "" if point is None else point.value,
        }
        for name, point in installed().items()
    ]
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    for row in rows:
        typer.echo(f"{row['name']:<16} {row['from']:<24} {row['builder']}".rstrip())


@adapter_app.command(epilog=EXIT_CODES)
def lint(
    file: Annotated[Path, typer.Argument(help="描述文件 The TOML description.", exists=True, dir_okay=False)],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="JSON 输出 Print JSON.")] = False,
) -> None:
    """检查声明式适配器的描述文件. Compile a declarative adapter's file; a mistake is named with file and line."""
    from adapters.rest_json.calls import compile_modules
    from adapters.rest_json.description import DescriptionError, read_description
    from standards.catalogue import load_standard

    try:
        source = read_description(file)
        modules = compile_modules(source, load_standard())
    except DescriptionError as error:
        fault = {"ok": False, "file": file.name, "line": error.line, "expected": error.expected}
        typer.echo(json.dumps(fault, ensure_ascii=False) if as_json else f"描述有误 {error}", err=not as_json)
        raise typer.Exit(FAULTY) from None
    if as_json:
        typer.echo(json.dumps({"ok": True, "items": sorted(modules)}))
        return
    typer.echo(f"ok: {file.name} {source.description.mapping_version}")
    for item, module in sorted(modules.items()):
        consent = "需授权 needs a consent" if module.needs_consent else "依法公开 public by law"
        typer.echo(f"  {item:<32} {len(module.rows.fields)} fields · {consent}")


@adapter_app.command(epilog=EXIT_CODES)
def schema() -> None:
    """描述文件的 JSON Schema，供编辑器使用. The JSON Schema of a description, for editors."""
    from adapters.rest_json.description import json_schema

    typer.echo(json.dumps(json_schema(), ensure_ascii=False, indent=2))
