"""How often something may be done."""

from __future__ import annotations

from server.domain.record import record


@record
class Rate:
    """So many times in so many seconds: that many at once, and what was used comes back evenly.

    All that must be kept of a subject is one moment: when it has everything back (GCRA, the generic cell rate
    algorithm). Moments are in seconds of any clock.
    """

    count: int
    seconds: float

    def available(self, full_at: float, now: float) -> int:
        """Give how many times are left."""
        used = max(full_at - now, 0.0) * self.count / self.seconds
        return max(int(self.count - used + 1e-6), 0)

    def wait(self, full_at: float, now: float) -> float:
        """Give the seconds until it may be done again; 0 when it may be now."""
        over = full_at + self.seconds / self.count - self.seconds - now
        return over if over > 1e-6 else 0.0

    def used(self, full_at: float, now: float, times: int = 1) -> float:
        """Give the moment to keep after it was done."""
        return max(full_at, now) + times * self.seconds / self.count
