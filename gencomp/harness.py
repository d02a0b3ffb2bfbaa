"""The bridge to lm-evaluation-harness: any spec, a codec or a model, as a model that it evaluates.

    python -m gencomp.harness run --model gencomp --model_args compressor=gzip --tasks TASK

is the harness's own command line with the model ``gencomp`` added. Needs lm-eval and the extra ``lm``.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.api.registry import register_model

from gencomp.equivalence.adapt import as_predictor
from gencomp.equivalence.capabilities import sequence_code_lengths, spend
from gencomp.protocols import PredictorState
from gencomp.sampling.strategies import Strategy

_MAX_LENGTH = 256


def _is_likeliest(state: PredictorState, text: bytes) -> bool:
    """Return whether every byte of ``text`` is the likeliest after those before it; ``state`` is spent."""
    for symbol in text:
        if int(state.code_lengths().argmin()) != symbol:
            return False
        state.update(symbol)
    return True


@register_model("gencomp")
class HarnessModel(LM):  # type: ignore[misc]
    """Log-likelihoods in nats, as the harness has them, of UTF-8 bytes under the spec ``compressor``.

    ``context`` keeps only so many of the last bytes before a continuation, for codecs whose cost grows with them.
    """

    def __init__(self, compressor: str = "gzip", context: int | None = None, seed: int = 0, **_: Any) -> None:
        super().__init__()
        self._predictor = as_predictor(compressor)
        self._context = None if context is None else int(context)
        self._rng = np.random.default_rng(int(seed))
        self._latest: tuple[bytes, PredictorState] | None = None

    def _after(self, context: str) -> PredictorState:
        """Return a state after ``context``; the latest one is kept, since a task asks for several continuations."""
        text = context.encode("utf-8")
        if self._context is not None:
            text = text[-self._context :] if self._context else b""
        if self._latest is None or self._latest[0] != text:
            self._latest = (text, self._predictor.begin(text))
        return self._latest[1].copy()

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Return (ln p(continuation | context), whether every byte of it is the likeliest) for each request."""
        return [self._loglikelihood(*request.args) for request in requests]

    def _loglikelihood(self, context: str, continuation: str) -> tuple[float, bool]:
        state, text = self._after(context), continuation.encode("utf-8")
        greedy = _is_likeliest(state.copy(), text)
        return -spend(state, text) * math.log(2.0), greedy

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """Return ln p(text) for each request, from an empty context."""
        texts = [request.args[0].encode("utf-8") for request in requests]
        return [-float(bits.sum()) * math.log(2.0) for bits in sequence_code_lengths(self._predictor, texts)]

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Return a continuation for each request, up to a stop string or ``max_gen_toks`` bytes."""
        return [self._generate(*request.args) for request in requests]

    def _generate(self, context: str, options: Mapping[str, Any]) -> str:
        until = options.get("until") or []
        stops = [until] if isinstance(until, str) else list(until)
        temperature = float(options.get("temperature") or 0.0)
        sampling = bool(options.get("do_sample", temperature > 0.0)) and temperature > 0.0
        strategy = Strategy(temperature=temperature) if sampling else Strategy(top_k=1)
        state = self._after(context)
        drawn = bytearray()
        for _ in range(int(options.get("max_gen_toks") or _MAX_LENGTH)):
            symbol = strategy.draw(state.code_lengths(), self._rng)
            state.update(symbol)
            drawn.append(symbol)
            text = drawn.decode("utf-8", "ignore")
            for stop in stops:
                if stop and stop in text:
                    return text.split(stop)[0]
        return drawn.decode("utf-8", "ignore")


def main() -> None:
    """Run the harness's command line."""
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()


if __name__ == "__main__":
    main()
