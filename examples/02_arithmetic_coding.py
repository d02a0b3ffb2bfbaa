"""The paper's example, AIXI, with the real coder: four intervals, seven bits.

Prints: 0101010 0.3222
"""

import numpy as np

from gencomp.coding.quantize import cdf_from_weights
from gencomp.coding.range_coder import RangeDecoder, RangeEncoder

symbols = [0, 1, 2, 1]  # A, I, X, I
rows = [(45, 30, 25), (20, 60, 20), (20, 45, 35), (60, 20, 20)]  # P(A), P(I), P(X) at each step, in hundredths
cdfs = np.stack([cdf_from_weights(np.array(row), precision=30) for row in rows])

low, width = 0.0, 1.0
for symbol, row in zip(symbols, rows, strict=True):
    low += width * sum(row[:symbol]) / 100
    width *= row[symbol] / 100
    print(f"{'AIX'[symbol]}: [{low:.4f}, {low + width:.4f})")

encoder = RangeEncoder()
encoder.encode(symbols, cdfs)
code = encoder.finish()
bits = "".join(f"{byte:08b}" for byte in code)[: encoder.num_bits]
print(f"code {bits}, {encoder.num_bits} bits; -log2 of the last interval's width is {-np.log2(width):.2f}")

decoder = RangeDecoder(code)
assert decoder.decode(4, cdfs).tolist() == symbols
decoder.finish()
