"""The whole standard in one value: made once by a composition root, handed to whoever needs a part of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from standards.codes import Codes, load_codes
from standards.divisions import Divisions, load_divisions
from standards.items import ItemDictionary, load_items
from standards.licences import LicenceKinds, load_licence_kinds
from standards.purposes import Purposes, load_purposes
from standards.ratings import RatingScales, load_rating_scales
from standards.rules import Rule, compile_rules
from standards.scorecard.card import Card, load_card
from standards.tables import Tables
from standards.translation import Translations, load_translations

STANDARD_VERSION: Final = "bashu-standard/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standard:
    """Every table of the standard, parsed; ``rules`` gives each item the rules of law that bite on it.

    ``status_effects`` gives each registration status its effect on an evaluation.
    """

    card: Card
    codes: Codes
    divisions: Divisions
    items: ItemDictionary
    licences: LicenceKinds
    purposes: Purposes
    rules: Mapping[str, tuple[Rule, ...]]
    scales: RatingScales
    status_effects: Mapping[str, str]
    translations: Translations


def load_standard(override: Path | None = None) -> Standard:
    """Read all tables; files in the folder ``override`` stand for the shipped ones. Raises TableError."""
    tables = Tables(override=override)
    tables.check()
    items = load_items(tables)
    scales = load_rating_scales(tables)
    return Standard(
        card=load_card(tables),
        codes=load_codes(tables),
        divisions=load_divisions(tables),
        items=items,
        licences=load_licence_kinds(tables),
        purposes=load_purposes(tables),
        rules=compile_rules(items),
        scales=scales,
        translations=load_translations(tables, scales),
        status_effects={
            cells.text("canonical"): cells.text("effect") for cells in tables.rows("policy_registration_status")
        },
    )
