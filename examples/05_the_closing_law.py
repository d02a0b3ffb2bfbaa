"""The closing law: a compressor, read as a predictor and driven by an arithmetic coder, is a lossless compressor again.

Prints: identical bits
"""

import gencomp

gzip = gencomp.load("gzip")
closed = gencomp.ArithmeticCompressor(gencomp.CodeLengthPredictor(gzip))

text = b"She sells sea shells by the sea shore; the shells she sells are sea shells."
code = closed.compress(text)
print(f"gzip itself: {gzip.code_length(text):.0f} bits, {8 * 18} of them its header and CRC")
print(f"gzip as a predictor, arithmetic coding: {closed.code_length(text):.0f} bits")
print("identical" if closed.decompress(code) == text else "DIFFERENT")
