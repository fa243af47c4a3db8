"""What the inference machine may be asked."""

from datetime import date
from typing import Literal

from boxcar.requests import Request

Scope = Literal["daily", "monthly"]


class InferenceRequest(Request):
    """Which rows to predict: those that are new, all of them, or those first seen on one day of the past."""

    example = 'write {"family": "<name>"}, and optionally scope (daily or monthly), day, models and requested_by'

    scope: Scope = "daily"
    day: date | None = None  # UTC; with scope daily only. Such a run moves no watermark
