"""How a model's forward is called: learnt from what it does, whatever its arguments are called."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

import gencomp
from tests.heavy import WhenUsed, torch, transformers

module = WhenUsed("gencomp.predictors.language.forward")

SYMBOLS, WIDTH = 256, 16


class Sums:
    """A model of 20 lines: the logits of a symbol are a matrix times the sum of the embeddings so far."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.embedding = torch.randn(SYMBOLS, WIDTH, generator=generator)
        self.device = torch.device("cpu")
        self.config = transformers.LlamaConfig(num_hidden_layers=1)  # what a cache of the library is made from

    def __call__(self, **arguments: Any) -> Any:
        return self.forward(**arguments)  # type: ignore[attr-defined]

    def answer(self, input_ids: torch.Tensor, memory: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        sums = self.embedding[input_ids].cumsum(1) + (0.0 if memory is None else memory[:, None])
        return sums @ self.embedding.T, sums[:, -1]


class Renamed(Sums):
    """Remembers by an argument of a name that no library has used, and returns a tuple-like output."""

    def forward(self, input_ids: torch.Tensor, use_cache: bool = False, recollection: Any = None) -> Any:
        logits, memory = self.answer(input_ids, recollection)
        return _Output(logits=logits, recollection=memory)


class InAList(Sums):
    """Remembers in the object that it is given, and returns a tuple."""

    def forward(self, input_ids: torch.Tensor, use_cache: bool = False, cache: Any = None) -> Any:
        logits, memory = self.answer(input_ids, getattr(cache, "sums", None))
        if cache is not None:
            cache.sums = memory
        return (logits, cache)


class Forgetful(Sums):
    """Takes a cache, by every name that there has been, and returns it, and does not use it."""

    def forward(self, input_ids: torch.Tensor, cache: Any = None, past_key_values: Any = None, **_: Any) -> Any:
        return _Output(logits=self.answer(input_ids, None)[0], cache=cache, past_key_values=past_key_values)


class Stateless(Sums):
    """Predicts from the last symbol alone: in steps and at once the same, and still no memory."""

    def forward(self, input_ids: torch.Tensor, cache: Any = None, **_: Any) -> Any:
        return _Output(logits=self.embedding[input_ids] @ self.embedding.T, cache=cache)


class Deprecated(Sums):
    """Remembers by an old name, with a warning, and by a new one."""

    def forward(self, input_ids: torch.Tensor, past: Any = None, state: Any = None, **_: Any) -> Any:
        if past is not None:
            warnings.warn("past will go away", FutureWarning, stacklevel=2)
        logits, memory = self.answer(input_ids, state if past is None else past)
        return _Output(logits=logits, state=memory, past=memory)


class LooksAhead(Sums):
    """Predicts every symbol from the whole text: the last one is right in steps, those before it are not."""

    def forward(self, input_ids: torch.Tensor, state: Any = None, **_: Any) -> Any:
        logits, memory = self.answer(input_ids, state)
        return _Output(logits=logits[:, -1:].expand_as(logits), state=memory)


class _Output:
    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)


def in_steps(forward: module.Forward, symbols: torch.Tensor) -> torch.Tensor:
    memory = forward.begin(symbols.shape[1])
    first = memory.read(symbols[:, :3])
    return torch.stack([first, *(memory.read(symbols[:, k : k + 1]) for k in range(3, symbols.shape[1]))], 1)


@pytest.mark.parametrize(("model", "name"), [(Renamed, "recollection"), (InAList, "cache"), (Deprecated, "state")])
def test_a_memory_is_found_by_what_it_does(model: type[Sums], name: str) -> None:
    forward = module.Forward(model())  # type: ignore[arg-type]
    assert forward.way.name == name
    assert forward.vocabulary_size == SYMBOLS
    symbols = torch.arange(12).reshape(2, 6)
    torch.testing.assert_close(in_steps(forward, symbols), module.whole_logits(forward.model, symbols)[:, 2:])


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        (Forgetful, r"Forgetful does not remember what it has read: .* \(tried cache, past_key_values"),
        (Stateless, "Stateless predicts the same whatever stands before the last two symbols"),
        (LooksAhead, "LooksAhead does not remember"),
    ],
)
def test_names_prove_nothing(model: type[Sums], complaint: str) -> None:
    with pytest.raises(module.ForwardError, match=complaint):
        module.Forward(model())  # type: ignore[arg-type]


CONFIGURATIONS: dict[str, dict[str, int]] = {
    "Llama": {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32},
    "GPT2": {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64},
    "GPTNeoX": {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32},
    "Bloom": {"hidden_size": 16, "n_layer": 2, "n_head": 2},
    "Mistral": {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "intermediate_size": 32,
        "sliding_window": 4,
    },
}


def tiny(name: str) -> transformers.PreTrainedModel:
    config = getattr(transformers, f"{name}Config")(
        **CONFIGURATIONS[name], vocab_size=300, bos_token_id=0, eos_token_id=0
    )
    torch.manual_seed(0)
    return transformers.AutoModelForCausalLM.from_config(config).eval()


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_todays_models_remember(name: str) -> None:
    model = tiny(name)
    forward = module.Forward(model)
    assert forward.way.make is module.fixed_cache
    symbols = torch.arange(18).reshape(2, 9)
    with torch.inference_mode():
        expected = module.whole_logits(model, symbols)[:, 2:]
        torch.testing.assert_close(in_steps(forward, symbols), expected, atol=1e-5, rtol=1e-4)


def test_copies_go_on_apart() -> None:
    forward = module.Forward(tiny("Llama"))
    with torch.inference_mode():
        memory = forward.begin(4)
        memory.read(torch.tensor([[1, 2]]))
        twin = memory.copy()
        first = memory.read(torch.tensor([[3]]))
        twin.read(torch.tensor([[200]]))
        torch.testing.assert_close(
            memory.read(torch.tensor([[4]])), module.whole_logits(forward.model, torch.tensor([[1, 2, 3, 4]]))[:, -1]
        )
        assert not torch.equal(first, twin.read(torch.tensor([[4]])))


def test_a_cache_without_known_layers_still_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    """What our buffers build on may move: then the library's own cache is used, which is slower and no less right."""

    def moved(cache: Any, capacity: int) -> Any:
        raise AttributeError("layers")

    monkeypatch.setattr("gencomp.predictors.language.buffers.buffered", moved)
    forward = module.Forward(tiny("Llama"))
    assert forward.way.make is module.growing_cache
    symbols = torch.arange(18).reshape(2, 9)
    with torch.inference_mode():
        torch.testing.assert_close(
            in_steps(forward, symbols), module.whole_logits(forward.model, symbols)[:, 2:], atol=1e-5, rtol=1e-4
        )


def test_a_recurrent_model_remembers_or_is_refused() -> None:
    config = transformers.MambaConfig(vocab_size=300, hidden_size=16, num_hidden_layers=1, state_size=4)
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    try:
        forward = module.Forward(model)
    except module.ForwardError as error:  # by the library's version
        assert "does not remember" in str(error)  # noqa: PT017
        return
    symbols = torch.arange(18).reshape(2, 9)
    with torch.inference_mode():
        expected = module.whole_logits(model, symbols)[:, 2:]
        torch.testing.assert_close(in_steps(forward, symbols), expected, atol=1e-5, rtol=1e-4)


def test_nothing_else_calls_a_forward_with_a_memory() -> None:
    package = Path(gencomp.__file__).parent
    for file in package.rglob("*.py"):
        text = file.read_text()
        if file.name not in ("forward.py", "hf.py"):
            assert "past_key_values" not in text, file
            # as a configuration's key it is read over
            assert "use_cache" not in text.replace('"use_cache"', "", file.name == "families.py"), file
