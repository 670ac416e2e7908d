"""The whole standard in one value: made once by a composition root, handed to whoever needs a part of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from standards.codes import Codes, load_codes
from standards.divisions import Divisions, load_divisions
from standards.items import ItemDictionary, load_items
from standards.licences import LicenceKinds, load_licence_kinds
from standards.purposes import Purposes, load_purposes
from standards.ratings import RatingScales, load_rating_scales
from standards.tables import Tables

STANDARD_VERSION: Final = "bashu-standard/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standard:
    """Every table of the standard, parsed."""

    codes: Codes
    divisions: Divisions
    items: ItemDictionary
    licences: LicenceKinds
    purposes: Purposes
    scales: RatingScales


def load_standard(override: Path | None = None) -> Standard:
    """Read all tables; files in the folder ``override`` stand for the shipped ones. Raises TableError."""
    tables = Tables(override=override)
    return Standard(
        codes=load_codes(tables),
        divisions=load_divisions(tables),
        items=load_items(tables),
        licences=load_licence_kinds(tables),
        purposes=load_purposes(tables),
        scales=load_rating_scales(tables),
    )
