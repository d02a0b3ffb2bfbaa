"""The levels of the model: how many contexts, mixers and maps each has, and how much memory."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gencomp.coding.logistic import SQUASH, SQUASH_LIMIT
from gencomp.coding.range_coder import TOP
from gencomp.compiled.aligned import HUGE_PAGE, aligned, aligned_zeros
from gencomp.predictors.mix.contexts import (
    CHANNELS,
    DIRECT_PLANS,
    FOLLOWERS,
    FOLLOWERS_1,
    FOLLOWERS_2,
    FRAME,
    MATCHES,
    MODES,
    NUM_REGISTERS,
    PERIOD,
    PLANS,
    REFINE_PLAN,
    WIDTH,
)
from gencomp.predictors.mix.model import (
    BIAS,
    COUNTER_INPUTS,
    EASY,
    EVEN,
    EXTERNAL_INPUT,
    KNOWN_SHARE,
    LEAST,
    MAP_SHARE,
    MAPS,
    MATCH_INPUT,
    NUM_COUNTS,
    REFINE_CELLS,
    SELECTOR_ROWS,
    SHARE_BITS,
    SLOT,
    TRUSTS,
    TWICE,
    WEIGHT_ONE,
    Model,
    Shape,
)
from gencomp.predictors.mix.tables import FIRST_COUNTERS
from gencomp.predictors.mix.vectors import VECTOR

MIN_SIZE = 1 << 12
TABLE_SECONDS = 1e-9  # to make a byte of tables
GUIDED_SHARE = 4  # with a network, contexts and matches begin with a quarter of their weights
GUIDE_WEIGHT = WEIGHT_ONE * 9 // 10  # what the network's input begins with


@dataclass(frozen=True)
class Level:
    """How many contexts with bit histories, plain ones, mixers, final mixers (none, 1 or 2) and hashed maps.

    ``slot_bits`` is log2 of the bytes that histories take at most, ``direct_bits`` of the number of plain counters.
    ``twice``: whether a context's probability also enters as it is. ``matches`` are the match models' least lengths in
    bytes.
    """

    contexts: int
    direct: int
    mixers: int
    finals: int
    maps: int
    twice: bool
    slot_bits: int
    direct_bits: int
    matches: tuple[int, ...]
    easy: int = 0  # smaller errors, in units of 2^-16, are not learnt from, which saves time
    guided: bool = False  # whether a network predicts too: it takes one input more, and a second set of weights
    apart: bool = False  # whether this level has kernels of its own, with its numbers as constants

    @property
    def num_inputs(self) -> int:
        """The length of a row of weights, rounded up to whole vectors."""
        used = COUNTER_INPUTS + self.direct + self.contexts * (1 + self.twice) + self.guided
        return -(-used // VECTOR) * VECTOR

    @property
    def rows(self) -> int:
        """How many rows of weights there are."""
        return (1 + self.guided) * self.mixers * SELECTOR_ROWS

    @property
    def shape(self) -> Shape:
        """What the kernels are compiled for."""
        if not self.apart:
            return Shape()
        counts = (self.contexts, self.direct, self.maps, self.mixers, self.finals, len(self.matches), self.num_inputs)
        return Shape(*((0,) * count for count in counts))


LEVELS = (
    Level(1, 2, 1, 0, 0, False, 22, 20, (6,), easy=128, apart=True),
    Level(2, 2, 1, 0, 0, False, 22, 20, (6,), easy=128, apart=True),
    Level(4, 2, 2, 1, 0, False, 23, 20, (6,)),
    Level(6, 2, 2, 1, 1, False, 24, 22, (6,)),
    Level(9, 2, 3, 1, 1, False, 26, 22, (6,), apart=True),
    Level(10, 2, 4, 2, 1, True, 26, 22, (4, 10)),
    Level(12, 3, 5, 2, 2, True, 26, 22, (4, 10)),
    Level(18, 4, 6, 2, 2, True, 27, 24, (4, 10)),
    Level(24, 5, 9, 2, 3, True, 28, 24, (4, 10)),
)


def bits_of(size: int) -> int:
    """Return log2 of ``size``, rounded up."""
    return (size - 1).bit_length()


def _first_weights(level: Level) -> npt.NDArray[np.int32]:
    """Return one row of weights as measured best; contexts, which tend to agree, get more than an even share."""
    row = np.zeros(level.num_inputs, dtype=np.int32)
    row[COUNTER_INPUTS + level.direct : COUNTER_INPUTS + level.direct + level.contexts] = (
        WEIGHT_ONE * 3 // 2 // max(6, level.contexts)
    )
    row[MATCH_INPUT] = WEIGHT_ONE // 4
    row[EXTERNAL_INPUT] = WEIGHT_ONE // 2
    return row


def plan_of(level: Level) -> npt.NDArray[np.int64]:
    """Return the context numbers of every mode, (MODES, contexts + direct + maps)."""
    return np.array(
        [
            (*PLANS[mode][: level.contexts], *DIRECT_PLANS[mode][: level.direct], *REFINE_PLAN[: level.maps])
            for mode in range(MODES)
        ],
        dtype=np.int64,
    )


def table_shapes(level: Level, slot_bits: int, size: int) -> dict[str, tuple[type[np.generic], tuple[int, ...]]]:
    """Return the type and shape of each table of a model for ``size`` bytes, without making any."""
    size_bits = bits_of(max(size, MIN_SIZE))
    has_followers = not {FOLLOWERS_1, FOLLOWERS_2}.isdisjoint(plan_of(level).flat)
    return {
        "slots": (np.uint8, ((1 << slot_bits) + 4 * SLOT,)),
        "counters": (np.uint32, (level.contexts * 256,)),
        "direct": (np.uint32, (1 << min(level.direct_bits, size_bits + 4),)),
        "weights": (np.int32, (level.rows, level.num_inputs)),
        "final": (np.int32, (level.finals * SELECTOR_ROWS * level.mixers,)),
        "refine": (np.uint16, (512 * REFINE_CELLS if level.maps else 0,)),
        "refine_hashed": (np.uint16, ((level.maps << min(16, size_bits)) * REFINE_CELLS,)),
        "positions": (np.int32, (MATCHES << min(20, size_bits),)),
        "trust": (np.uint32, (MATCHES * TRUSTS,)),
        "followers": (np.uint32, (FOLLOWERS if has_followers else 0,)),
        "registers": (np.int64, (NUM_REGISTERS,)),
    }


def table_bytes(level: Level, slot_bits: int, size: int) -> int:
    """Return how many bytes the tables of a model for ``size`` bytes take."""
    shapes = table_shapes(level, slot_bits, size).values()
    return sum(math.prod(shape) * np.dtype(kind).itemsize for kind, shape in shapes) + 4 * HUGE_PAGE


def new_model(level: Level, slot_bits: int, size: int) -> Model:
    """Return a model that has learnt nothing, with tables for ``size`` bytes as in :func:`table_shapes`."""
    size_bits = bits_of(max(size, MIN_SIZE))
    contexts, mixers = level.contexts, level.mixers
    hashes = contexts + level.direct + level.maps
    row = _first_weights(level)
    inputs = np.zeros_like(row)
    inputs[BIAS] = 256
    plan = plan_of(level)
    # a cell of an adaptive map begins with the probability that it stands for, so that the map changes nothing at first
    curve = SQUASH[SQUASH_LIMIT - 2048 + np.arange(REFINE_CELLS) * 4096 // (REFINE_CELLS - 1)]
    return Model(
        slots=aligned_zeros((1 << slot_bits) + 4 * SLOT),
        counters=np.tile(FIRST_COUNTERS, contexts),
        direct=aligned(np.full(1 << min(level.direct_bits, size_bits + 4), EVEN, dtype=np.uint32)),
        weights=aligned(np.tile(row, (level.rows, 1))),
        final=np.full(level.finals * SELECTOR_ROWS * mixers, WEIGHT_ONE // mixers, dtype=np.int32),
        refine=np.tile(curve, 512 if level.maps else 0),
        refine_hashed=aligned(np.tile(curve, level.maps << min(16, size_bits))),
        positions=aligned_zeros((4 * MATCHES) << min(20, size_bits)).view(np.int32),
        trust=np.full(MATCHES * TRUSTS, EVEN + (1 << 30), dtype=np.uint32),
        followers=np.zeros(FOLLOWERS if not {FOLLOWERS_1, FOLLOWERS_2}.isdisjoint(plan.flat) else 0, dtype=np.uint32),
        registers=_new_registers(),
        external=np.zeros(256, dtype=np.int32),
        plan=plan,
        shape=level.shape,
        counts=_counts(level),
        hashes=np.zeros(hashes, dtype=np.int64),
        byte_hashes=np.zeros(hashes, dtype=np.int64),
        bases=np.zeros(hashes, dtype=np.uint32),
        places=np.zeros(contexts, dtype=np.int64),
        inputs=inputs,
        mixed=np.zeros(4 * mixers, dtype=np.int64),
        ends=np.zeros(2 * level.finals, dtype=np.int64),
        bits=np.zeros(MATCHES, dtype=np.int64),
        trusts=np.zeros(2 * MATCHES, dtype=np.int64),
    )


def with_guide(model: Model) -> Model:
    """Let a new model begin with trust in its network, and with less in its contexts, as measured best.

    The second half of the weights, used while the network is doubted, begins with no trust in it.
    """
    trusting, doubting = np.split(model.weights, 2)
    trusting[:, COUNTER_INPUTS:-1] //= GUIDED_SHARE
    trusting[:, MATCH_INPUT] //= GUIDED_SHARE
    trusting[:, EXTERNAL_INPUT] = GUIDE_WEIGHT
    doubting[:, EXTERNAL_INPUT] = 0
    return model


def _counts(level: Level) -> npt.NDArray[np.int64]:
    counts = np.zeros(NUM_COUNTS, dtype=np.int64)
    counts[TWICE], counts[MAPS] = level.twice, level.maps
    counts[LEAST : LEAST + len(level.matches)] = level.matches
    counts[KNOWN_SHARE] = -(-(16 << SHARE_BITS) // (level.contexts + 1))
    counts[MAP_SHARE] = -(-(3 << SHARE_BITS) // max(1, level.maps))
    counts[EASY] = level.easy
    return counts


def _new_registers() -> npt.NDArray[np.int64]:
    registers = np.zeros(NUM_REGISTERS, dtype=np.int64)
    registers[WIDTH] = TOP
    registers[PERIOD] = 4
    registers[FRAME] = registers[CHANNELS] = 1
    return registers
