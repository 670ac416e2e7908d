"""`bashu`, the command line of lenders, borrowers' agents and auditors."""

import typer

from bashu.cli import (
    admin,
    catalogue,
    compliance,
    consent,
    consent_asking,
    consent_lists,
    credit,
    dispute,
    evaluation,
    holds,
    ledger,
    ledger_follow,
    platform,
    rating,
    subject,
    verify,
)
from bashu.cli.session import EXIT_CODES

app = typer.Typer(
    name="bashu",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="巴蜀信用互联网关客户端 client of the Bashu gateway",
    epilog=EXIT_CODES,
)
app.command(epilog=EXIT_CODES)(credit.query)
app.command(epilog=EXIT_CODES)(evaluation.evaluate)
app.command(epilog=EXIT_CODES)(catalogue.catalogue)
app.add_typer(rating.app, name="rating")
app.add_typer(consent.app, name="consent")
consent.app.command(epilog=EXIT_CODES)(consent_asking.notice)
consent.app.command(epilog=EXIT_CODES)(consent_asking.text)
consent.app.command(epilog=EXIT_CODES)(consent_asking.request)
consent.app.command(epilog=EXIT_CODES)(consent_asking.bundle)
consent.app.command(epilog=EXIT_CODES)(consent_asking.decide)
consent.app.command("bundles", epilog=EXIT_CODES)(consent_lists.bundles)
consent.app.command("evidence", epilog=EXIT_CODES)(consent_lists.evidence)
consent.app.command("request-evidence", epilog=EXIT_CODES)(consent_asking.request_evidence)
consent.app.command("submit-evidence", epilog=EXIT_CODES)(consent_asking.submit_evidence)
app.add_typer(ledger.app, name="ledger")
app.add_typer(subject.app, name="subject")
app.add_typer(dispute.app, name="dispute")
app.add_typer(compliance.app, name="compliance")
compliance.app.command(epilog=EXIT_CODES)(holds.hold)
compliance.app.command(epilog=EXIT_CODES)(holds.lift)
compliance.app.command("holds", epilog=EXIT_CODES)(holds.list_holds)
app.add_typer(platform.app, name="platform")
app.add_typer(admin.app, name="admin")
ledger.app.command("list", epilog=EXIT_CODES)(ledger_follow.list_entries)
ledger.app.command(epilog=EXIT_CODES)(ledger_follow.export)
ledger.app.command(epilog=EXIT_CODES)(ledger_follow.watch)
app.add_typer(verify.app, name="verify")


def main() -> None:
    """Run the command line."""
    app()
