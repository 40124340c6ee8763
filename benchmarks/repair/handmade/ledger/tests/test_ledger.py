import unittest
from decimal import Decimal

from ledger.accounts import LedgerError, OverdrawnError, UnknownAccountError, money
from ledger.book import Book


class BookTest(unittest.TestCase):
    def setUp(self):
        self.book = Book(keep=3)
        self.book.open("bank", limit=Decimal(1000))
        self.book.open("ann")
        self.book.open("bob", limit=Decimal(50))
        self.book.transfer("bank", "ann", Decimal(100), "Gift")

    def balance(self, name):
        return self.book.account(name).balance

    def test_transfer_moves_money(self):
        self.book.transfer("ann", "bob", Decimal(30))
        self.assertEqual((self.balance("ann"), self.balance("bob")), (70, 30))

    def test_the_books_sum_to_zero(self):
        self.book.transfer("ann", "bob", Decimal("0.10"))
        self.assertEqual(self.book.total(), 0)

    def test_overdraft_within_the_limit(self):
        self.book.transfer("bob", "ann", Decimal(50))
        self.assertEqual(self.balance("bob"), -50)

    def test_overdraft_beyond_the_limit(self):
        with self.assertRaises(OverdrawnError):
            self.book.transfer("bob", "ann", Decimal("50.01"))
        self.assertEqual(self.balance("ann"), 100)

    def test_frozen_accounts_pay_nothing(self):
        self.book.account("ann").frozen = True
        with self.assertRaises(OverdrawnError):
            self.book.transfer("ann", "bob", Decimal(1))

    def test_unknown_account(self):
        with self.assertRaises(UnknownAccountError):
            self.book.transfer("ann", "eve", Decimal(1))

    def test_amounts_are_positive(self):
        for amount in (0, -5):
            with self.subTest(amount=amount), self.assertRaises(LedgerError):
                self.book.transfer("ann", "bob", Decimal(amount))

    def test_no_account_twice(self):
        with self.assertRaises(LedgerError):
            self.book.open("ann")

    def test_split_gives_odd_cents_to_the_first(self):
        for name in ("c", "d", "e"):
            self.book.open(name)
        self.book.split("ann", ["c", "d", "e"], Decimal(10))
        self.assertEqual([self.balance(n) for n in "cde"], [Decimal("3.34"), Decimal("3.33"), Decimal("3.33")])

    def test_closing_pays_out(self):
        self.book.close("ann", "bob")
        self.assertEqual(self.balance("bob"), 100)
        with self.assertRaises(UnknownAccountError):
            self.book.account("ann")

    def test_closing_a_debt(self):
        self.book.transfer("bob", "ann", Decimal(20))
        self.book.close("bob", "ann")
        self.assertEqual(self.balance("ann"), 100)

    def test_statement_has_a_running_balance(self):
        self.book.transfer("ann", "bob", Decimal(30))
        self.assertEqual(
            self.book.statement("ann"),
            ["bank          100      100", "bob           -30       70"],
        )
        self.assertEqual(self.book.statement("ann", 1), ["bob           -30       70"])

    def test_journal_keeps_the_last_entries(self):
        for _ in range(5):
            self.book.transfer("ann", "bob", Decimal(1), "Coffee")
        self.assertEqual(len(self.book.journal), 3)
        self.assertEqual(len(self.book.search("COFFEE")), 3)
        self.assertEqual(self.book.search("gift"), [])


class MoneyTest(unittest.TestCase):
    def test_money(self):
        self.assertEqual(money(" 1,234.5 EUR"), Decimal("1234.50"))
        self.assertEqual(str(money("-3")), "-3.00")


if __name__ == "__main__":
    unittest.main()
