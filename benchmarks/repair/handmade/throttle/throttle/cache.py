"""A cache with a size and an age limit, and a decorator on top."""

import functools
from collections import OrderedDict


class Cache:
    def __init__(self, size, ttl, clock):
        self.size = size
        self.ttl = ttl
        self._clock = clock
        self._data = OrderedDict()
        self.hits = self.misses = 0

    def __len__(self):
        return len(self._data)

    def get(self, key, default=None):
        entry = self._data.get(key)
        if entry is None or self._clock() - entry[0] >= self.ttl:
            self._data.pop(key, None)
            self.misses += 1
            return default
        self._data.move_to_end(key)
        self.hits += 1
        return entry[1]

    def put(self, key, value):
        self._data[key] = (self._clock(), value)
        self._data.move_to_end(key)
        while len(self._data) > self.size:
            self._data.popitem(last=False)


def cached(cache):
    """Keep a function's results; arguments have to be hashable."""
    missing = object()

    def decorate(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            key = (args, tuple(sorted(kwargs.items())))
            value = cache.get(key, missing)
            if value is missing:
                value = function(*args, **kwargs)
                cache.put(key, value)
            return value

        return wrapper

    return decorate
