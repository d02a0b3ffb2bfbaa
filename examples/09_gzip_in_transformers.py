"""The bridge to transformers: its generate() driven by gzip, by counts, or by any other spec.

Needs the extra `lm`: pip install 'gencomp[lm]'.

Prints: gzip counts:3 greedy beams
"""

from transformers import pipeline

from gencomp.hf import CompressorForCausalLM, byte_tokenizer

prompt = "one two three four one two three four one two"
for spec in ("gzip", "counts:3"):
    generator = pipeline("text-generation", model=CompressorForCausalLM.from_spec(spec), tokenizer=byte_tokenizer())
    (greedy,) = generator(prompt, max_new_tokens=11, do_sample=False, return_full_text=False)
    (beam,) = generator(prompt, max_new_tokens=11, do_sample=False, num_beams=4, return_full_text=False)
    print(f"{spec:9} greedy {greedy['generated_text']!r}, 4 beams {beam['generated_text']!r}")
