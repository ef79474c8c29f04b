"""Limits that make rare paths common."""

from __future__ import annotations

from typing import Any

from tesseract_grpc.engine.data.changelog import HistoryLimits
from tesseract_grpc.engine.hub import Limits

SHORT_HISTORY: dict[str, Any] = {
    "limits": Limits(history=HistoryLimits(commits=4, rows=24), result_history=HistoryLimits(commits=2, rows=12))
}
"""Readers fall off a history of four commits all the time and are owed net changes; slots are used again soon."""
