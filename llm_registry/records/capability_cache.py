"""What was learnt about a spec by asking it, so that it is asked only once: its protocol, its structured output method.

Owns the table `spec_traits` in the repository's database.
"""

from pathlib import Path
from urllib.parse import urlsplit

from core.config.settings import ModelSpec
from core.storage.database import connect, create_tables

_SCHEMA = """
CREATE TABLE IF NOT EXISTS spec_traits(
    spec TEXT NOT NULL, trait TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY(spec, trait));
"""


class CapabilityCache:
    """Reads once, then answers from memory; writes through.

    Args:
        database: The file; its folder must exist.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._known: dict[tuple[str, str], str] | None = None

    async def get(self, spec: ModelSpec, trait: str) -> str | None:
        """The remembered value of a trait, `None` when nothing is known."""
        return (await self._load()).get((_key(spec), trait))

    async def put(self, spec: ModelSpec, trait: str, value: str) -> None:
        """Remember a trait."""
        known = await self._load()
        if known.get((_key(spec), trait)) == value:
            return
        known[(_key(spec), trait)] = value
        async with connect(self._database) as db:
            await db.execute("INSERT OR REPLACE INTO spec_traits VALUES(?, ?, ?)", (_key(spec), trait, value))
            await db.commit()

    async def _load(self) -> dict[tuple[str, str], str]:
        if self._known is None:
            async with connect(self._database) as db:
                await create_tables(db, _SCHEMA)
                cursor = await db.execute("SELECT spec, trait, value FROM spec_traits")
                self._known = {(row["spec"], row["trait"]): row["value"] for row in await cursor.fetchall()}
        return self._known


def _key(spec: ModelSpec) -> str:
    # Of an address only what tells servers apart: names and keys in it are nobody's business.
    url = urlsplit(spec.base_url)
    return f"{spec.provider}|{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}|{spec.model}"
