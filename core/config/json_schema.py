"""The JSON schema of the configuration, for editors. `python -m core.config.json_schema` prints it."""

import json
import sys
from typing import Any

from core.config.settings import EMBEDDED, ROLES, Settings


def config_schema() -> dict[str, Any]:
    """Build the schema: what the settings accept, other spellings of keys included."""
    schema = Settings.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "rolecall configuration"
    definitions = schema["$defs"]
    properties = definitions["ModelSpec"]["properties"]
    properties["id"] = {**properties["model"], "description": "Alias for `model`."}
    properties["endpoint"] = {**properties["base_url"], "description": "Alias for `base_url`."}
    role = {
        "anyOf": [
            {"$ref": "#/$defs/ModelSpec"},
            {"type": "string", "description": f"A role, a named model, or `{EMBEDDED}`."},
        ]
    }
    llm = definitions["LLMSettings"]
    llm["properties"] |= dict.fromkeys(ROLES, role)
    llm["additionalProperties"] = role
    tool = {"anyOf": [{"$ref": "#/$defs/ToolSettings"}, {"type": "string", "description": "A role or a named model."}]}
    schema["properties"]["tools"]["additionalProperties"] = tool
    by_role = {"description": "Alternative to `llm`: specs by name, each with the `role` it serves.", "type": "object"}
    schema["properties"]["models"] = by_role
    definitions["ToolSettings"]["properties"]["model"] = {"type": "string", "description": "Alias for `role`."}
    return schema


def schema_text() -> str:
    """The schema as in the file `config.schema.json`."""
    return json.dumps(config_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
