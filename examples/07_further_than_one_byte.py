"""Looking further than one byte: gzip's best continuation, a draw from the joint distribution, and an ensemble.

Prints: beams particles lookahead ensemble copied
"""

import gencomp
from gencomp.data import alice
from gencomp.sampling.copies import measure_copies

context = alice()[10_000:12_000]
print("...", context[-60:])

names = {"beam": "beams", "particles": "particles"}
for strategy in names:
    drawn = gencomp.sample("gzip", prompt=context, length=24, strategy=strategy, horizon=24, width=8, seed=1)
    copies = measure_copies(context, drawn)
    print(f"{names[strategy]:<10} {drawn!r}, {100 * copies.rate:.0f} % copied")

limited = gencomp.sample("gzip", prompt=context, length=24, strategy="beam", width=8, max_copy=6)
print(f"{'beams':<10} {limited!r}, no copy above {measure_copies(context, limited).longest} bytes")

# predictors made from the same code lengths: what do they charge for the byte that really follows?
following = alice()[12_000]
for spec in ("gzip", "lookahead:gzip?width=16", "ensemble:gzip?windows=500,1000,2000", "ensemble:gzip,counts:3"):
    code_lengths = gencomp.as_predictor(spec).begin(context).code_lengths()
    print(f"{spec:<40} {code_lengths[following]:6.2f} bits for {bytes([following])!r}")
