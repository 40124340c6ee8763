"""Rows of a table as dictionaries."""

import csv
import io


def read_people(text, delimiter=","):
    rows = csv.reader(io.StringIO(text), delimiter=delimiter)
    header = [name.strip().lower().replace(" ", "_") for name in next(rows)]
    return [dict(zip(header, (cell.strip() for cell in row), strict=False)) for row in rows if row]


def unique(people, key="email"):
    """Drop repeated people; the first one stays, those without the key all stay."""
    seen = set()
    kept = []
    for person in people:
        mark = person.get(key, "").lower()
        if mark and mark in seen:
            continue
        seen.add(mark)
        kept.append(person)
    return kept


def split_name(full):
    """`Lee, Ann` and `Ann B. Lee` both give first and last name."""
    if "," in full:
        last, first = full.split(",", 1)
    else:
        first, _, last = full.rpartition(" ")
    return first.strip(), last.strip()
