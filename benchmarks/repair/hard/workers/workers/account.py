"""Accounts that several threads use."""

import threading


class Account:
    """A balance in cents under a lock."""

    def __init__(self, name: str, balance: int = 0) -> None:
        self.name = name
        self.balance = balance
        self.lock = threading.RLock()

    def deposit(self, amount: int) -> None:
        with self.lock:
            self.balance += amount

    def withdraw(self, amount: int) -> bool:
        """Take money if there is enough; whether there was."""
        with self.lock:
            if self.balance < amount:
                return False
            self.deposit(-amount)
            return True


def transfer(source: Account, target: Account, amount: int) -> bool:
    """Move money; both accounts are locked in the order of their names, so that no two wait for each other."""
    first, second = sorted((source, target), key=lambda account: account.name)
    with first.lock, second.lock:
        if not source.withdraw(amount):
            return False
        target.deposit(amount)
        return True


class Latch:
    """Opens after so many arrivals."""

    def __init__(self, count: int) -> None:
        self.missing = count
        self.open = threading.Event()
        self.lock = threading.Lock()

    def arrive(self) -> None:
        with self.lock:
            self.missing -= 1
            if self.missing == 0:
                self.open.set()

    def wait(self) -> None:
        self.open.wait()
