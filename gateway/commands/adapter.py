"""`bashu-gateway adapter`: which adapters are installed, and whether a declarative one's file is right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Final

import typer

from adapters.scaffold import Kind, ScaffoldRefused, scaffold

FAILED: Final = 1
FAULTY: Final = 2
EXIT_CODES: Final = "退出码 exit codes: 0 成功 done · 2 用法、设置或描述文件有误 usage, or the file is wrong"
CHECK_CODES: Final = (
    "退出码 exit codes: 0 全部成立 every fact that could be checked holds · 1 有不成立 a fact fails · "
    "2 用法或设置有误 usage or settings, or the platform cannot be asked"
)

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
def new(
    name: Annotated[str, typer.Argument(help="名称 Name, a-z, 0-9 and _.")],
    *,
    kind: Annotated[Kind, typer.Option(help="file：只用一个文件 a description; python：程序包 a package.")] = Kind.FILE,
    folder: Annotated[Path | None, typer.Option(help="目录 Folder to make; default NAME-adapter.")] = None,
) -> None:
    """新建适配器：可运行的实例、模拟平台、样例与测试. A working adapter with simulator, golden files and tests."""
    target = folder or Path(f"{name}-adapter")
    try:
        written = scaffold(name, target, kind)
    except (ScaffoldRefused, OSError) as error:
        typer.echo(f"未新建 Not made: {error}", err=True)
        raise typer.Exit(FAULTY) from None
    for file in written:
        typer.echo(file)
    typer.echo(f"下一步 next: {target / 'README.md'}")


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


@adapter_app.command(epilog=CHECK_CODES)
def check(
    platform: Annotated[str, typer.Argument(help="设置中的平台 Platform id, as in the settings.")],
    *,
    settings: Annotated[
        Path, typer.Option("--settings", envvar="BASHU_SETTINGS", help="设置文件 TOML settings file.", exists=True)
    ],
    subject: Annotated[str, typer.Option(help="测试主体 CODE[=NAME] of a test firm that has data.")],
    other: Annotated[str, typer.Option(help="另一测试主体 CODE[=NAME] of another that has data.")],
    unknown: Annotated[str, typer.Option(help="查无主体 CODE of a valid code in no register.")],
    artefact: Annotated[
        list[str] | None, typer.Option(help="授权书 CODE=FILE: the signed consent of a test firm; repeat it.")
    ] = None,
    institution: Annotated[str, typer.Option(help="信息使用机构 The lender named to the platform.")] = "bank-test",
    purpose: Annotated[str, typer.Option(help="用途 Purpose of the standard.")] = "PRE_LOAN_REVIEW",
    books: Annotated[str, typer.Option(help="沙箱控制地址 Control address of the sandbox, for its books.")] = "",
    test_environment: Annotated[
        bool, typer.Option("--test-environment", help="确认是测试环境 Confirm that these are test subjects.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON 输出 Print JSON.")] = False,
) -> None:
    """对运行中的平台核对适配器契约. Runs the contract suite of adapters against a running platform's test environment.

    It asks the platform really, some hundred times, behind a loopback proxy that breaks answers. No consent is decided
    here: name test subjects of a test environment alone.
    """
    from gateway.adapter_check import CheckRefused, Question, run_check

    if not test_environment:
        typer.echo(
            "请加 --test-environment：仅可用于测试环境的测试主体 for test subjects of a test environment alone",
            err=True,
        )
        raise typer.Exit(FAULTY)
    question = Question(
        platform=platform,
        subject=subject,
        other=other,
        unknown=unknown,
        artefacts=tuple(artefact or ()),
        institution=institution,
        purpose=purpose,
        books=books,
    )
    try:
        found = run_check(settings, question, told=None if as_json else lambda line: typer.echo(line, err=True))
    except CheckRefused as error:
        typer.echo(f"无法核对 {error}", err=True)
        raise typer.Exit(FAULTY) from None
    typer.echo(json.dumps(found.as_json(), ensure_ascii=False) if as_json else found.as_text())
    raise typer.Exit(FAILED if found.failed else 0)
