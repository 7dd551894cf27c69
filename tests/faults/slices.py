"""What is too much for one run is cut into slices, of which each run does one: CI another one each day."""

from __future__ import annotations

import os

EVERYTHING = "EVERYTHING" in os.environ
"""Whether a run does all slices."""

SLICE = int(os.environ.get("SLICE", "0"))
"""The number of the slice that this run does; each test takes its own remainder."""
