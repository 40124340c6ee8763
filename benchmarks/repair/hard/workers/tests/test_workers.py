import threading

import pytest
from workers.account import Account, Latch, transfer
from workers.pool import Pool


@pytest.fixture
def pool():
    made = Pool(3)
    yield made
    made.close()


@pytest.mark.parametrize("count", [0, 1, 2, 10])
def test_map_keeps_the_order(pool, count):
    assert pool.map(lambda number: number * number, range(count)) == [number * number for number in range(count)]


def test_a_pool_can_be_used_twice(pool):
    assert pool.map(str, [1, 2]) == ["1", "2"]
    assert pool.map(len, ["a", "bc"]) == [1, 2]


def test_close_ends_the_threads():
    made = Pool(2)
    made.close()
    assert not any(thread.is_alive() for thread in made.threads)


@pytest.mark.parametrize(("amount", "left"), [(0, 100), (40, 60), (100, 0), (101, 100)])
def test_withdraw(amount, left):
    account = Account("ann", 100)
    assert account.withdraw(amount) == (amount <= 100)
    assert account.balance == left


def test_transfer():
    ann, bob = Account("ann", 50), Account("bob")
    assert transfer(ann, bob, 30)
    assert not transfer(ann, bob, 30)
    assert (ann.balance, bob.balance) == (20, 30)


def test_transfers_both_ways():
    ann, bob = Account("ann", 1000), Account("bob", 1000)
    ways = [(ann, bob), (bob, ann)]
    threads = [threading.Thread(target=lambda pair=pair: [transfer(*pair, 1) for _ in range(200)]) for pair in ways]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ann.balance + bob.balance == 2000


@pytest.mark.parametrize("count", [1, 3])
def test_latch(count):
    latch = Latch(count)
    for _ in range(count):
        threading.Thread(target=latch.arrive).start()
    latch.wait()
    assert latch.missing == 0
