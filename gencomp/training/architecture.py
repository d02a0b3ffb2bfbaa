"""Decoder-only Transformers, small enough to count in a compression rate: Llama's architecture in transformers."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM

# read before a text's first symbol: the byte NUL, or the start token of a BPE vocabulary
START_OF_TEXT = 0


@dataclass(frozen=True)
class Architecture:
    """The shape of a decoder-only Transformer (Vaswani et al. 2017; Touvron et al. 2023).

    ``width`` is the size of a position's vector; ``layers`` and ``heads`` are counts. ``key_value_heads`` is the number
    of heads of keys and values: with one, the cache is ``heads`` times smaller (Ainslie et al. 2023). ``feed_forward``
    is the inner size of the gated feed-forward layers, ``context`` the largest number of positions. Input and output
    embeddings are one matrix.
    """

    width: int
    layers: int
    heads: int
    key_value_heads: int
    feed_forward: int
    context: int = 2048

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if self.width % self.heads or (self.width // self.heads) % 2:
            raise ValueError(
                f"width must be heads times an even number, got a width of {self.width} with {self.heads} heads"
            )
        if self.heads % self.key_value_heads:
            raise ValueError(
                f"heads must be a multiple of key_value_heads, got {self.heads} and {self.key_value_heads}"
            )

    def parameter_count(self, vocabulary_size: int = 256) -> int:
        """Return the number of weights of the model over ``vocabulary_size`` symbols."""
        key_value_width = (self.width // self.heads) * self.key_value_heads
        attention = 2 * self.width * self.width + 2 * self.width * key_value_width
        layer = attention + 3 * self.width * self.feed_forward + 2 * self.width
        return vocabulary_size * self.width + self.layers * layer + self.width

    def build(self, vocabulary_size: int = 256, *, seed: int = 0) -> "LlamaForCausalLM":
        """Return the untrained model in float32, with weights drawn from ``seed``.

        Matrices are normal with a standard deviation of 0.02; for those that write into the residual stream it is
        divided by the square root of twice the number of layers (Radford et al. 2019).
        """
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM

        config = LlamaConfig(
            vocab_size=vocabulary_size,
            hidden_size=self.width,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.key_value_heads,
            intermediate_size=self.feed_forward,
            max_position_embeddings=self.context,
            tie_word_embeddings=True,
            bos_token_id=START_OF_TEXT,
            eos_token_id=None,
            pad_token_id=None,
        )
        model = LlamaForCausalLM(config)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if weight.ndim < 2:
                    continue
                into_residual = name.endswith(("o_proj.weight", "down_proj.weight"))
                deviation = 0.02 / math.sqrt(2 * self.layers) if into_residual else 0.02
                weight.normal_(0.0, deviation, generator=generator)
        return model


# close to the sizes of the paper's Table 1
SIZES = {
    "200k": Architecture(width=64, layers=4, heads=2, key_value_heads=1, feed_forward=192),
    "800k": Architecture(width=128, layers=4, heads=2, key_value_heads=1, feed_forward=384),
    "3.2m": Architecture(width=256, layers=4, heads=4, key_value_heads=1, feed_forward=768),
}
