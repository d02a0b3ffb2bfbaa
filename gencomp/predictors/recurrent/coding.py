"""The compiled loops over bytes: network and coder together."""

import numpy as np
import numpy.typing as npt

from gencomp.coding.logistic import PROBABILITY_BITS, SQUASH, SQUASH_LIMIT
from gencomp.coding.range_coder import decode_step, encode_step
from gencomp.compiled import Integer, fragment, lean_kernel
from gencomp.inference.contexts import ByteArray
from gencomp.inference.recurrent import Memory, Network, logit, step
from gencomp.protocols import IntArray

READ, ENCODE, DECODE = range(3)
LOW, WIDTH, OFFSET, POSITION, NUM_REGISTERS = range(5)  # of the coder
BYTES_PER_SYMBOL = 16  # at most what 8 bits of probability 2^-16 write


@fragment
def probability(network: Network, memory: Memory, node: Integer) -> Integer:
    """Return the probability of a 1 at ``node`` in units of 2^-16, within [1, 2^16 - 1]."""
    return np.int64(SQUASH[logit(network, memory, node) + SQUASH_LIMIT])


@lean_kernel
def run(
    network: Network,
    memory: Memory,
    data: ByteArray,
    start: Integer,
    stop: Integer,
    task: Integer,
    code: ByteArray,
    registers: IntArray,
) -> Integer:
    """Run the network over ``data`` (n,) from ``start`` to ``stop``; return where it stopped.

    ``task``: READ reads the bytes. ENCODE also writes ``code``, and stops early where that is too short. DECODE reads
    ``code`` and writes the bytes, and stops early at a stream that no encoder wrote. Each bit's 1 takes the interval
    [0, p), its 0 the rest.
    """
    low, width = np.int64(registers[LOW]), np.int64(registers[WIDTH])
    offset, position = np.int64(registers[OFFSET]), np.int64(registers[POSITION])
    end = start
    while end < stop:
        if task == ENCODE and position + BYTES_PER_SYMBOL + 8 > code.shape[0]:
            break
        if task != READ:
            byte = np.int64(data[end]) if task == ENCODE else 0
            node = 1
            for depth in range(8):
                p = probability(network, memory, node)
                bit: Integer = (byte >> (7 - depth)) & 1
                if task == DECODE:
                    bit = 1 if offset < (width >> PROBABILITY_BITS) * p else 0
                below, above = (0, p) if bit == 1 else (p, 1 << PROBABILITY_BITS)
                if task == ENCODE:
                    low, width, position = encode_step(low, width, code, position, below, above, PROBABILITY_BITS)
                else:
                    low, width, offset, position = decode_step(
                        low, width, offset, position, code, below, above, PROBABILITY_BITS
                    )
                    if offset < 0:
                        break
                node = (node << 1) | bit
            if offset < 0:
                break
            data[end] = node & 255
        step(network, memory, np.int64(data[end]))
        end += 1
    registers[LOW], registers[WIDTH], registers[OFFSET], registers[POSITION] = low, width, offset, position
    return end


@lean_kernel
def fill_probabilities(network: Network, memory: Memory, data: ByteArray, found: npt.NDArray[np.uint16]) -> None:
    """Read ``data`` (n,); write the probabilities of its bits into ``found`` (n, 8), in units of 2^-16."""
    for index in range(data.shape[0]):
        byte = np.int64(data[index])
        for depth in range(8):
            p = probability(network, memory, (byte | 256) >> (8 - depth))
            found[index, depth] = p if ((byte >> (7 - depth)) & 1) == 1 else (1 << PROBABILITY_BITS) - p
        step(network, memory, byte)


@lean_kernel
def fill_weights(network: Network, memory: Memory, nodes: IntArray, weights: IntArray) -> None:
    """Write the next byte's probabilities in units of 2^-40 into ``weights`` (256,) int64.

    ``nodes`` (256,) int64 is scratch: the weight of each node of the byte's tree of bits.
    """
    nodes[1] = 1 << 40
    for node in range(1, 256):
        one = (nodes[node] * probability(network, memory, node)) >> PROBABILITY_BITS
        if node < 128:
            nodes[2 * node] = nodes[node] - one
            nodes[2 * node + 1] = one
        else:
            weights[2 * node - 256] = nodes[node] - one
            weights[2 * node - 255] = one
