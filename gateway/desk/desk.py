"""The parts of the desk, as one value for whoever serves it."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.desk.anomalies import Anomalies
from gateway.desk.preservation import Preservations
from gateway.desk.reports import Reports
from gateway.desk.sampling import Sampling


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What officers look at."""

    reports: Reports
    sampling: Sampling
    anomalies: Anomalies
    preservations: Preservations
