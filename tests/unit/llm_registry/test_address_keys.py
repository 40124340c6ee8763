"""Keys in the address of `--model`: they serve their run, and nothing keeps or shows them."""

import pytest

from core.config.settings import ModelSpec
from core.errors import UsageError
from llm_registry.overrides import with_overrides
from llm_registry.specs.address_keys import fill_references, keys_to_references, redact_spec
from tests.unit.llm_registry.rig import settings_of

KEY = "open/" + "sesame+7"
WRITTEN = "open%2Fsesame%2B7"


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [
        (f"ollama:m@http://ada:{WRITTEN}@nas:1/v1", "ollama:m@http://ada:${ROLECALL_KEY_OF_CODER}@nas:1/v1"),
        (f"ollama:m@http://{WRITTEN}@nas:1", "ollama:m@http://${ROLECALL_KEY_OF_CODER}@nas:1"),
        (f"ollama:m@http://nas/?api_key={WRITTEN}&v=2", "ollama:m@http://nas/?api_key=${ROLECALL_KEY_OF_CODER}&v=2"),
        ("ollama:m@http://ada:${GATE}@nas:1", "ollama:m@http://ada:${GATE}@nas:1"),
        ("ollama:m@http://nas:1", "ollama:m@http://nas:1"),
        ("ollama:m", "ollama:m"),
        ("primary", "primary"),
    ],
)
def test_a_reference_is_kept_in_place_of_a_key(wanted: str, kept: str) -> None:
    models, keys = keys_to_references({"coder": wanted})
    assert models == {"coder": kept}
    assert set(keys.values()) <= {KEY}
    assert fill_references("coder", kept, {**keys, "GATE": "x"}) == wanted.replace("${GATE}", "x")
    assert KEY not in redact_spec(wanted)
    assert WRITTEN not in redact_spec(wanted)


def test_a_key_of_one_letter_is_replaced_where_it_stands() -> None:
    models, keys = keys_to_references({"coder": "ollama:m@http://ma:m@mm/m?token=m"})
    name = "ROLECALL_KEY_OF_CODER"
    assert models == {"coder": f"ollama:m@http://ma:${{{name}}}@mm/m?token=${{{name}_2}}"}
    assert keys == {name: "m", f"{name}_2": "m"}


def test_a_reference_serves_again_where_its_variable_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    models, keys = keys_to_references({"coder": f"ollama:m@http://ada:{WRITTEN}@nas:1"})
    with pytest.raises(UsageError, match="not set") as missing:
        with_overrides(settings_of({}), models)
    assert "give --model coder=… again" in missing.value.hint
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    spec = (with_overrides(settings_of({}), models).llm.__pydantic_extra__ or {})["coder"]
    assert isinstance(spec, ModelSpec)
    assert spec.base_url == f"http://ada:{WRITTEN}@nas:1"


def test_errors_about_a_model_do_not_repeat_its_key() -> None:
    for models in ({"nobody": f"ollama:m@http://ada:{WRITTEN}@nas"}, {"coder": f"nothing:m@http://ada:{WRITTEN}@nas"}):
        with pytest.raises(UsageError) as refused:
            with_overrides(settings_of({}), models)
        assert WRITTEN not in refused.value.message + refused.value.hint


def test_a_spec_and_what_holds_it_show_no_key() -> None:
    spec = {"provider": "ollama", "model": "m", "base_url": f"http://ada:{WRITTEN}@nas/?key={WRITTEN}",
            "api_key": KEY, "options": {"headers": {"X-Gate": KEY}}}  # fmt: skip
    settings = settings_of({"coder": spec, "models": {"other": spec}})
    for text in (repr(settings), str(settings), repr(ModelSpec.model_validate(spec))):
        assert KEY not in text
        assert WRITTEN not in text
        assert "X-Gate" in text
