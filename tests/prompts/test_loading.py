"""Any causal model of transformers, in any dtype and quantisation."""

from pathlib import Path
from typing import Any

import pytest
import torch

from gedanken.errors import GedankenError, UserError
from gedanken.prompts import Gateway, LocalChatModel
from gedanken.prompts.local.loading import load


def test_a_model_of_ones_own_answers_under_a_grammar_and_calls_tools(tiny: LocalChatModel) -> None:
    assert tiny.invoke("Which?", grammar='root ::= "red" | "blue"').text in ("red", "blue")
    assert Gateway(tiny).ask("x", "test", max_tokens=3)
    tool = {"name": "go", "description": "Goes.", "parameters": {"type": "object", "properties": {}}}
    (call,) = tiny.bind_tools([tool], tool_choice="go").invoke("Go.", max_tokens=60).tool_calls
    assert call["name"] == "go"


@pytest.mark.parametrize("dtype", ["bfloat16", "float64", "torch.float16"])
def test_any_dtype(tiny_folder: Path, dtype: str) -> None:
    decoder = load(str(tiny_folder), dtype=dtype)
    assert decoder.model.dtype == getattr(torch, dtype.removeprefix("torch."))
    assert LocalChatModel(model=str(tiny_folder), dtype=dtype, max_tokens=3).invoke("x").usage_metadata


def test_a_device_map_is_taken(tiny_folder: Path) -> None:
    model = LocalChatModel(model=str(tiny_folder), device_map="cpu", max_tokens=3)
    assert model.invoke("x").usage_metadata


def test_a_quantisation_and_a_device_map_go_to_transformers(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import AutoModelForCausalLM, QuantoConfig

    whole, given = AutoModelForCausalLM.from_pretrained, {}

    def from_pretrained(place: str, **settings: Any) -> Any:
        given.update(settings)
        return whole(place)

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", from_pretrained)
    settings = {"quant_method": "quanto", "weights": "int4"}
    options: dict[str, Any] = {"dtype": "bfloat16", "device_map": {"": "cpu"}, "max_tokens": 2}
    LocalChatModel(model=str(tiny_folder), quantization=settings, **options).invoke("x")
    assert isinstance(given["quantization_config"], QuantoConfig)
    assert given["quantization_config"].weights == "int4"
    assert (given["dtype"], given["device_map"]) == (torch.bfloat16, {"": "cpu"})


def test_a_quantisation_whose_package_is_missing_is_said(tiny_folder: Path) -> None:
    settings = {"quant_method": "hqq", "nbits": 4}
    with pytest.raises(GedankenError, match="hqq"):
        LocalChatModel(model=str(tiny_folder), quantization=settings).invoke("x")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"dtype": "bflot16"}, "did you mean 'bfloat16'"),
        ({"dtype": "nn"}, "torch has no dtype 'nn'"),
        ({"quantization": {"quant_method": "quantoo"}}, "did you mean 'quanto'"),
        ({"quantization": {"weights": "int8"}}, "give {'quant_method': ...}"),
        ({"quantization": {"quant_method": "quanto", "weights": "int5"}}, "cannot be used"),
        ({"device": "cpu", "device_map": "auto"}, "not both"),
    ],
)
def test_settings_that_transformers_does_not_have_are_refused(
    tiny_folder: Path, settings: dict[str, Any], says: str
) -> None:
    with pytest.raises(UserError, match=says):
        LocalChatModel(model=str(tiny_folder), **settings).invoke("x")


def test_answers_of_other_weights_are_other_answers(tiny_folder: Path, tmp_path: Path) -> None:
    import os
    import shutil

    from langchain_core.caches import InMemoryCache

    folder = Path(shutil.copytree(tiny_folder, tmp_path / "mine"))
    cache = InMemoryCache()
    door = Gateway(LocalChatModel(model=str(folder), max_tokens=2), cache=cache)
    for _ in range(2):
        door.ask("x", "test")
    os.utime(folder / "model.safetensors", (1, 1))
    door.ask("x", "test")
    assert [call.cached for call in door.calls] == [False, True, False]
