"""No adapter is loaded without agreement, impact assessment and a licence that lets its platform answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from adapters.kit.config import PlatformConfig, limits_of, transport_settings
from adapters.kit.protocol import PlatformLicence
from adapters.registry import AdapterNotLoadedError, load, load_one
from core.clock import SystemClock
from standards.catalogue import Standard, load_standard
from tests.platform_stage import ChongqingStage, SichuanStage

LICENCE = PlatformLicence(
    kind="ENTERPRISE_CREDIT_FILING", number="1", authority="a", valid_from=date(2020, 1, 1), valid_to=None
)


@pytest.fixture(scope="module")
def standard() -> Standard:
    return load_standard()


@pytest.fixture
def config(tmp_path: Path) -> PlatformConfig:
    return ChongqingStage(folder=tmp_path).config()


def test_both_platforms_load_with_what_they_hold(config: PlatformConfig, standard: Standard, tmp_path: Path) -> None:
    configs = {"chongqing": config, "sichuan": SichuanStage(folder=tmp_path).config()}
    adapters = load(configs, standard=standard, clock=SystemClock())
    chongqing, sichuan = adapters["chongqing"].platform, adapters["sichuan"].platform
    assert sichuan.items - chongqing.items == {"branch_registration", "qualification_certificates"}
    assert chongqing.items - sichuan.items == {"environment_credit", "customs_credit_grade"}
    assert chongqing.items == set(standard.items.held_by("chongqing"))
    assert sichuan.items == set(standard.items.held_by("sichuan"))
    assert "DISPUTE_CHECK" not in chongqing.purposes
    assert sichuan.purposes["PRE_LOAN_REVIEW"] == "LOAN_APPROVAL"


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"agreement_id": " "}, "agreement_id"),
        ({"pia_id": ""}, "pia_id"),
        ({"licence": None}, "licence is missing"),
        ({"licence": replace(LICENCE, number="")}, "licence is missing"),
        ({"licence": replace(LICENCE, kind="FINANCIAL_LICENCE")}, "FINANCIAL_LICENCE"),
        ({"licence": replace(LICENCE, kind="RATING_FILING")}, "RATING_FILING"),
        ({"licence": replace(LICENCE, valid_to=date(2021, 1, 1))}, "not valid today"),
        ({"licence": replace(LICENCE, valid_from=(datetime.now(UTC) + timedelta(days=2)).date())}, "not valid today"),
        ({"adapter": "atlantis"}, "atlantis"),
        ({"url": "http://platform.example"}, "cannot be built"),
        ({"secrets": {}}, "hmac_key"),
        ({"options": {}}, "caller_code"),
        ({"secrets": {"hmac_key": Path("/nowhere"), "qm_keys": Path("/nowhere")}}, "cannot be built"),
    ],
)
def test_what_is_missing_is_named(
    config: PlatformConfig, standard: Standard, changes: dict[str, object], what: str
) -> None:
    with pytest.raises(AdapterNotLoadedError, match=what):
        load_one(replace(config, **changes), standard=standard, clock=SystemClock())  # type: ignore[arg-type]


def test_as_many_connections_are_opened_as_calls_may_be_under_way(config: PlatformConfig) -> None:
    wide = replace(config, options={**config.options, "in_flight": 200})
    assert transport_settings(wide).max_connections == limits_of(wide, {}, {}).in_flight == 200
    assert transport_settings(config).max_connections == 64
