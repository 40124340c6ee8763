import asyncio

import pytest
from throttle.bucket import Bucket, Window
from throttle.cache import Cache, cached
from throttle.retry import delays, retry


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_bucket_starts_full(clock):
    bucket = Bucket(2, 3, clock)
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]


def test_bucket_refills_up_to_its_capacity(clock):
    bucket = Bucket(2, 3, clock)
    assert bucket.take(3)
    clock.now += 1
    assert bucket.take(2)
    assert not bucket.take()
    clock.now += 60
    assert not bucket.take(4)
    assert bucket.take(3)


def test_time_passes_only_once(clock):
    bucket = Bucket(1, 5, clock)
    bucket.take(5)
    clock.now += 1
    assert bucket.wait_for(1) == 0
    assert bucket.wait_for(3) == 2
    assert bucket.wait_for(6) is None


def test_window(clock):
    window = Window(2, 10, clock)
    assert [window.allow() for _ in range(3)] == [True, True, False]
    clock.now += 9.5
    assert not window.allow()
    clock.now += 0.5
    assert window.allow()


def test_cache_drops_the_least_used(clock):
    cache = Cache(2, 60, clock)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert cache.get("b") is None
    assert (cache.get("a"), cache.get("c")) == (1, 3)


def test_cache_forgets_after_its_time(clock):
    cache = Cache(2, 60, clock)
    cache.put("a", 1)
    clock.now += 59
    assert cache.get("a") == 1
    clock.now += 1
    assert cache.get("a", "gone") == "gone"
    assert len(cache) == 0
    assert (cache.hits, cache.misses) == (1, 1)


def test_putting_again_is_no_second_entry(clock):
    cache = Cache(2, 60, clock)
    cache.put("a", 1)
    cache.put("b", 1)
    cache.put("a", 2)
    cache.put("c", 1)
    assert cache.get("a") == 2
    assert cache.get("b") is None


def test_cached_calls_once_even_for_none(clock):
    calls = []

    @cached(Cache(9, 60, clock))
    def look(*args, **kwargs):
        calls.append(args)

    look(1, b=2)
    look(1, b=2)
    assert len(calls) == 1
    look(1, b=3)
    assert len(calls) == 2
    assert look.__name__ == "look"


def test_delays():
    assert list(delays(1, 3, 10, 5)) == [1, 3, 9, 10]
    assert list(delays(attempts=1)) == []


def attempt(failures, error=OSError):
    left = [error("no")] * failures

    async def action():
        if left:
            raise left.pop()
        return "done"

    return action


def test_retry_waits_between():
    slept = []

    async def sleep(pause):
        slept.append(pause)

    assert asyncio.run(retry(attempt(2), [1, 2, 3], sleep=sleep)) == "done"
    assert slept == [1, 2]


def test_retry_gives_up():
    with pytest.raises(OSError, match="no"):
        asyncio.run(retry(attempt(3), [0, 0]))


def test_retry_lets_other_errors_out():
    with pytest.raises(KeyError):
        asyncio.run(retry(attempt(1, KeyError), [0, 0]))
