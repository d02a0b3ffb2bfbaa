"""One spec, two directions: a codec that generates, a predictor that compresses.

Prints: gzip counts identical
"""

import gencomp
from gencomp.data import alice

book = alice()
prompt = book[:4000]

# Direction 2: gzip's code lengths are probabilities; draw from them.
text = gencomp.sample("gzip", prompt=prompt, length=40, top_k=12, seed=1)
print("gzip continues with  ", text)

# The same call for a true predictor.
text = gencomp.sample("counts", prompt=prompt, length=40, top_k=12, seed=1)
print("counts continues with", text)

# Direction 1: a predictor and an arithmetic coder are a compressor.
archive = gencomp.compress(book, model="counts")
print(f"{len(book):,} -> {len(archive):,} bytes;", "identical" if gencomp.decompress(archive) == book else "DIFFERENT")
