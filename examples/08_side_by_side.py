"""Continue one prompt with gzip and with a predictor, score the continuations, and show them on one page.

Prints: truth shuffled gzip counts:3 page
"""

import tempfile
from pathlib import Path

from gencomp.comparison.compare import Contender, Plan, compare
from gencomp.comparison.prompts import text_prompt
from gencomp.data import alice
from gencomp.report.comparison import page as comparison_page

prompt = text_prompt("alice.txt", alice(), given=1948, length=40)
contenders = [Contender("gzip", "bytes"), Contender("counts:3", "bytes")]
document = compare(Plan([prompt], contenders, seeds={"text": 2}, judge="counts:3", steps=8))

for row in document["rows"]:
    print(f"{row['model']:<10}{row['bits_per_byte']:6.2f} bits/byte under counts:3, copied {row['copy_rate']:.0%}")

with tempfile.TemporaryDirectory() as folder:
    page = Path(folder) / "report.html"
    page.write_text(comparison_page(document), encoding="utf-8")
    print(f"one page, {page.stat().st_size:,} bytes, that needs no network")
