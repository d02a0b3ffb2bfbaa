"""Compare models by compression: the bits per byte of each as a compressor, and its log-loss as a predictor.

Prints: gzip lzma counts log-loss
"""

import numpy as np

import gencomp
from gencomp.data import alice

book = alice()[:30_000]
print(f"{'model':<8} {'bits/byte':>10} {'log-loss':>9} {'Kraft sum':>10}   (the last two over 32 bytes)")
for model in ("gzip", "zstd?level=3", "lzma", "counts:0", "counts:2", "counts"):
    score = gencomp.score(model, book, limit=32)
    kraft_sum = np.median(score.kraft_sums)
    print(f"{model:<12} {score.bits_per_byte:6.3f} {score.log_loss:9.3f} {kraft_sum:10.3f}")
