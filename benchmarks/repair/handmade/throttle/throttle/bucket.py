"""A token bucket and a sliding window, both on a clock that is passed in."""

from collections import deque


class Bucket:
    def __init__(self, rate, capacity, clock):
        self.rate = rate
        self.capacity = capacity
        self._clock = clock
        self._tokens = capacity
        self._stamp = clock()

    def _refill(self):
        now = self._clock()
        self._tokens = min(self.capacity, self._tokens + (now - self._stamp) * self.rate)
        self._stamp = now

    def take(self, count=1):
        self._refill()
        if self._tokens < count:
            return False
        self._tokens -= count
        return True

    def wait_for(self, count=1):
        """Seconds until so many tokens are there; None if that never happens."""
        if count > self.capacity:
            return None
        self._refill()
        return max(0, (count - self._tokens) / self.rate)


class Window:
    """At most `limit` events in any `span` seconds."""

    def __init__(self, limit, span, clock):
        self.limit = limit
        self.span = span
        self._clock = clock
        self._events = deque()

    def allow(self):
        now = self._clock()
        while self._events and self._events[0] <= now - self.span:
            self._events.popleft()
        if len(self._events) >= self.limit:
            return False
        self._events.append(now)
        return True
