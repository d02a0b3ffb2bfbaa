"""Which byte does gzip expect after a repeated phrase? Code lengths, exact to the bit, and the distribution they make.

Prints: Kraft likeliest
"""

import numpy as np

import gencomp

context = b"the cat sat on the mat; the cat sat on the m"
state = gencomp.as_predictor("gzip").begin(context)
code_lengths = state.code_lengths()

print("likeliest next bytes after", context)
for symbol in np.argsort(code_lengths, kind="stable")[:5]:
    print(f"  {bytes([int(symbol)])!r:<8} {code_lengths[symbol]:6.2f} bits   p = {2 ** -code_lengths[symbol]:.4f}")
print(f"Kraft sum before normalising: {state.kraft_sum():.3f}")
