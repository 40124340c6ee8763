"""A small language to filter, sort and count records."""

from querylang.engine import count_by, select
from querylang.parser import QueryError, parse

__all__ = ["QueryError", "count_by", "parse", "select"]
