"""The bridge to lm-evaluation-harness: any spec, a codec or a model, as a model that it evaluates.

    python -m gencomp.harness run --model gencomp --model_args compressor=gzip --tasks TASK

is the harness's own command line with the model ``gencomp`` added. Needs lm-eval and the extra ``lm``.
"""

import itertools
import json
import logging
import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Self, get_args

import lm_eval.models  # noqa: F401 - registers the harness's own models, which it does only while none is registered
import numpy as np
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.api.registry import register_model

from gencomp.equivalence.adapt import Model, as_predictor
from gencomp.equivalence.capabilities import sequence_code_lengths, spend, token_scoring_of
from gencomp.protocols import FloatArray, PredictorState
from gencomp.sampling.draw import Draw

NAME = "gencomp"
Measure = Literal["bytes", "tokens"]

_MEASURES: Mapping[Measure, str] = {
    "bytes": "log-likelihoods are of bytes: a model of tokens is summed over all tokenisations of a text",
    "tokens": "log-likelihoods are of the tokenizer's own tokens, as for lm-eval's model hf",
}
_MAX_LENGTH = 256
# the names that the length of a generation goes by, in the harness's order of precedence
_LENGTHS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
_OPTIONS = (*_LENGTHS, "max_length", "until", "do_sample", "temperature", "top_k", "top_p", "num_beams")

_log = logging.getLogger(__name__)


def _is_likeliest(state: PredictorState, text: bytes) -> bool:
    """Return whether every byte of ``text`` is the likeliest after those before it; ``state`` is spent."""
    for symbol in text:
        if int(state.code_lengths().argmin()) != symbol:
            return False
        state.update(symbol)
    return True


@register_model(NAME)
class HarnessModel(LM):  # type: ignore[misc]
    """Log-likelihoods in nats, as the harness has them, of UTF-8 texts under the spec ``compressor``.

    ``context`` is how many of the last bytes before a continuation are kept, for codecs whose cost grows with them.
    ``seed`` is for sampling. ``measure`` says what is measured: ``bytes``, which every model has, or ``tokens``, the
    one tokenisation that a model of tokens makes of the text. ``batch_size``, ``max_batch_size`` and ``device``, which
    the harness always passes, change nothing: the spec says where a model computes, as in ``hf:FOLDER?device=cuda``.
    Raises ``ValueError`` on values that make no sense, ``TypeError`` on an unknown argument.
    """

    def __init__(
        self,
        compressor: Model = "gzip",
        context: int | None = None,
        seed: int = 0,
        measure: Measure = "bytes",
        batch_size: int | str | None = None,
        max_batch_size: int | None = None,
        device: str | None = None,
    ) -> None:
        super().__init__()
        if measure not in get_args(Measure):
            raise ValueError(f"measure must be bytes or tokens, got {measure!r}")
        self._context = None if context is None else _natural("context", context)
        self._rng = np.random.default_rng(_natural("seed", seed))
        self._compressor = compressor
        self._predictor = as_predictor(compressor)
        self._tokens = token_scoring_of(self._predictor)
        self._measure = measure
        if measure == "tokens" and self._tokens is None:
            raise ValueError(f"measure=tokens needs a model of tokens, such as hf:FOLDER; {compressor} has none")
        self._latest: tuple[bytes, PredictorState] | None = None
        if self._tokens is not None:
            other = next(name for name in get_args(Measure) if name != measure)
            _log.warning("measure=%s: %s; measure=%s: %s", measure, _MEASURES[measure], other, _MEASURES[other])

    @classmethod
    def create_from_arg_string(cls, arg_string: str, additional_config: Mapping[str, Any] | None = None) -> Self:
        """Return the model of ``key=value,key=value``, as :func:`parse_arguments` reads them."""
        given = {key: value for key, value in (additional_config or {}).items() if value is not None}
        arguments: dict[str, Any] = parse_arguments(arg_string)
        return cls(**arguments, **given)

    def get_model_info(self) -> dict[str, Any]:
        """Return what the harness writes beside its results."""
        return {"measure": self._measure, "measured": _MEASURES[self._measure]}

    def _cut(self, context: str) -> bytes:
        """Return the bytes of a context that are kept."""
        text = context.encode("utf-8")
        return text if self._context is None else text[len(text) - min(len(text), self._context) :]

    def _after(self, context: str) -> PredictorState:
        """Return a state after ``context``; the latest is kept, since tasks compare several continuations."""
        text = self._cut(context)
        if self._latest is None or self._latest[0] != text:
            self._latest = (text, self._predictor.begin(text))
        return self._latest[1].copy()

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Return (ln p(continuation | context), whether every symbol of it is the likeliest) for each request."""
        if self._measure == "tokens":
            return list(self._token_loglikelihoods([request.args for request in requests]))
        return [self._loglikelihood(*request.args) for request in requests]

    def _loglikelihood(self, context: str, continuation: str) -> tuple[float, bool]:
        state, text = self._after(context), continuation.encode("utf-8")
        greedy = _is_likeliest(state.copy(), text)
        return -spend(state, text) * math.log(2.0), greedy

    def _token_loglikelihoods(self, pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[float, bool]]:
        """Yield the same in tokens: those of the whole text, less as many as the context has, as the harness does."""
        assert self._tokens is not None
        texts, skipped = [], []
        for context, continuation in pairs:
            kept = context.rstrip()  # spaces belong to the word that follows
            text = self._cut(kept)
            skipped.append(self._tokens.token_count(text))
            texts.append(text + (context[len(kept) :] + continuation).encode("utf-8"))
        for costs, first in zip(self._tokens.token_costs(texts), skipped, strict=True):
            yield _nats(costs.code_lengths[first:]), bool(costs.likeliest[first:].all())

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """Return ln p(text) for each request, from an empty context."""
        texts = [request.args[0].encode("utf-8") for request in requests]
        if self._measure == "tokens":
            assert self._tokens is not None
            return [_nats(costs.code_lengths) for costs in self._tokens.token_costs(texts)]
        return [_nats(bits) for bits in sequence_code_lengths(self._predictor, texts)]

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Return a continuation for each request: up to a stop string, or as many bytes as it may have."""
        return [self._generate(*request.args) for request in requests]

    def _generate(self, context: str, options: Mapping[str, Any]) -> str:
        stops, draw, length = _generation(options, len(context.encode("utf-8")))
        state = self._after(context)
        drawn = bytearray()
        for _ in range(length):
            symbol = draw.symbol(state.code_lengths(), self._rng)
            state.update(symbol)
            drawn.append(symbol)
            text = drawn.decode("utf-8", "ignore")
            for stop in stops:
                if stop in text:
                    return text.split(stop)[0]
        return drawn.decode("utf-8", "ignore")


def _nats(bits: FloatArray) -> float:
    return -float(bits.sum()) * math.log(2.0)


def _natural(name: str, value: Any) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = -1
    if number < 0 or (isinstance(value, float) and number != value):
        raise ValueError(f"{name} must be an integer of at least 0, got {value!r}")
    return number


def _generation(options: Mapping[str, Any], context_bytes: int) -> tuple[list[str], Draw, int]:
    """Return (stop strings, how bytes are drawn, how many at most) of a request, by the harness's conventions.

    Raises ``ValueError`` on an option that means nothing here.
    """
    given = {name: value for name, value in options.items() if value is not None}
    unknown = sorted(given.keys() - set(_OPTIONS))
    if unknown:
        raise ValueError(f"a generation has no {', '.join(unknown)} here; its options are {', '.join(_OPTIONS)}")
    if given.get("num_beams", 1) != 1:
        raise ValueError(f"a generation draws byte by byte: num_beams must be 1, got {given['num_beams']}")
    until = given.get("until", [])
    stops = [stop for stop in ([until] if isinstance(until, str) else until) if stop]
    temperature = float(given.get("temperature", 0.0))
    if given.get("do_sample") and "temperature" not in given:
        temperature = 1.0  # transformers' default
    if given.get("do_sample", True) and temperature > 0.0:  # in the harness, 0 means greedy
        top_k = int(given.get("top_k", 0))  # in transformers, 0 means all
        top_p = given.get("top_p")
        draw = Draw(temperature, top_k or None, None if top_p is None else float(top_p))
    else:
        draw = Draw(top_k=1)
    lengths = [_natural(name, given[name]) for name in _LENGTHS if name in given]
    if not lengths and "max_length" in given:  # of context and continuation together
        lengths = [max(0, _natural("max_length", given["max_length"]) - context_bytes)]
    return stops, draw, lengths[0] if lengths else _MAX_LENGTH


def parse_arguments(text: str) -> dict[str, Any]:
    """Return the arguments of ``key=value,key=value``. A part without ``key=`` belongs to the value before it.

    So specs with members pass: ``compressor=ensemble:gzip,counts:2,seed=1`` has two arguments. Quotes around a value
    are dropped. Raises ``ValueError`` if the text does not begin with ``key=``, or a key occurs twice.
    """
    arguments: dict[str, str] = {}
    key = ""
    for part in text.strip().split(",") if text.strip() else ():
        begun = re.match(r"\s*([A-Za-z_]\w*)=", part)
        if begun:
            key = begun[1]
            if key in arguments:
                raise ValueError(f"the argument {key} is given twice in {text!r}")
            arguments[key] = part[begun.end() :]
        elif not key:
            raise ValueError(f"expected key=value, such as compressor=gzip, got {part!r}")
        else:
            arguments[key] += "," + part
    return {name: re.sub(r"^(['\"])(.*)\1$", r"\2", value.strip()) for name, value in arguments.items()}


def _with_whole_specs(command: Sequence[str]) -> list[str]:
    """Return the command line with ``--model_args`` as JSON if the model is ours: the harness splits at commas."""
    words = list(command)
    spread = [part for word in words for part in (word.split("=", 1) if word.startswith("--") else [word])]
    if not any(pair in (("--model", NAME), ("-M", NAME), ("-m", NAME)) for pair in itertools.pairwise(spread)):
        return words
    for place, word in enumerate(words):
        name, equals, first = word.partition("=")
        if name not in ("--model_args", "-a"):
            continue
        end = place + 1
        while not equals and end < len(words) and not words[end].startswith("-"):
            end += 1
        values = [first] if equals else words[place + 1 : end]
        if not values or values[0].lstrip().startswith("{"):
            break
        arguments = {"measure": "bytes"} | parse_arguments(",".join(values))
        return [*words[:place], name, json.dumps(arguments), *words[end:]]
    return words


def main() -> None:
    """Run the harness's command line."""
    from lm_eval.__main__ import cli_evaluate

    try:
        sys.argv[1:] = _with_whole_specs(sys.argv[1:])
    except ValueError as error:
        sys.exit(f"gencomp.harness: --model_args: {error}")
    cli_evaluate()


if __name__ == "__main__":
    main()
