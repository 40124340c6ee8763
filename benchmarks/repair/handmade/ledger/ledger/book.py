"""The book: transfers, statements, closing."""

from collections import deque

from ledger.accounts import Account, LedgerError, OverdrawnError, Posting, UnknownAccountError


class Book:
    def __init__(self, keep=100):
        self._accounts = {}
        self.journal = deque(maxlen=keep)

    def open(self, name, *, limit=0):
        if name in self._accounts:
            raise LedgerError(f"{name} is open already")
        self._accounts[name] = Account(name, limit)
        return self._accounts[name]

    def account(self, name):
        try:
            return self._accounts[name]
        except KeyError:
            raise UnknownAccountError(name) from None

    def transfer(self, source, target, amount, note=""):
        if amount <= 0:
            raise LedgerError("amounts are positive")
        giver, taker = self.account(source), self.account(target)
        if not giver.allows(-amount):
            raise OverdrawnError(f"{source} cannot pay {amount}")
        giver.postings.append(Posting(target, -amount))
        taker.postings.append(Posting(source, amount))
        self.journal.append((source, target, amount, note))

    def split(self, source, targets, amount):
        """Share an amount out evenly; the first ones get the odd cents."""
        cents = int(amount * 100)
        share, rest = divmod(cents, len(targets))
        for index, target in enumerate(targets):
            part = share + (1 if index < rest else 0)
            self.transfer(source, target, type(amount)(part) / 100)

    def total(self):
        return sum(account.balance for account in self._accounts.values())

    def close(self, name, heir):
        """Move what is left to the heir and drop the account."""
        left = self.account(name).balance
        if left < 0:
            self.transfer(heir, name, -left, "closing")
        elif left > 0:
            self.transfer(name, heir, left, "closing")
        del self._accounts[name]

    def statement(self, name, last=None):
        """Lines with a running balance, oldest first."""
        lines = []
        running = 0
        for posting in self.account(name).postings:
            running += posting.amount
            lines.append(f"{posting.account:<8}{posting.amount:>9}{running:>9}")
        return lines if last is None else lines[-last:]

    def search(self, word):
        word = word.lower()
        return [entry for entry in self.journal if word in entry[3].lower()]
