"""Reads the sections of the settings from environment variables, with pydantic-settings, which is slow to import."""

from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from core.config.files import ENV_PREFIX, SEPARATOR, parse_strict_json
from core.config.settings import LLMSettings, Settings


def read_sections() -> dict[str, Any]:
    """The values that variables give, by section; nothing is validated.

    Raises:
        ValueError: A variable that should hold an object or a list is not JSON.
    """
    return dict(_Source(_sections())())


class _Source(EnvSettingsSource):
    """Reads objects as strictly as files are read."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        return parse_strict_json(value)


class _Environment(BaseSettings):
    """Tells pydantic-settings which sections there are; it never holds a value."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_nested_delimiter=SEPARATOR, extra="allow")

    llm: LLMSettings = LLMSettings()


def _sections() -> type[BaseSettings]:
    fields = {name: (field.annotation, field) for name, field in Settings.model_fields.items() if name != "schema_"}
    return type(
        "Environment",
        (_Environment,),
        {"__annotations__": {name: annotation for name, (annotation, _) in fields.items()},
         **{name: field.get_default(call_default_factory=True) for name, (_, field) in fields.items()}},
    )  # fmt: skip
