"""What was learned about a spec by asking it, so it is asked only once: its protocol, its structured output method.

Owns the table `spec_traits` in the repository's database.
"""

from urllib.parse import urlsplit

from core.config.settings import ModelSpec
from core.storage.database import Database


class CapabilityCache:
    """Reads once, then answers from memory; writes through.

    Args:
        database: Of the repository.
    """

    def __init__(self, database: Database) -> None:
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
        await self._database.write(
            "INSERT INTO spec_traits(spec, trait, value) VALUES(:spec, :trait, :value)"
            " ON CONFLICT(spec, trait) DO UPDATE SET value = excluded.value",
            {"spec": _key(spec), "trait": trait, "value": value},
        )

    async def _load(self) -> dict[tuple[str, str], str]:
        if self._known is None:
            rows = await self._database.read("SELECT spec, trait, value FROM spec_traits")
            self._known = {(row["spec"], row["trait"]): row["value"] for row in rows}
        return self._known


def _key(spec: ModelSpec) -> str:
    # Of an address only what tells servers apart: names and keys in it are nobody's business.
    url = urlsplit(spec.base_url)
    return f"{spec.provider}|{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}|{spec.model}"
