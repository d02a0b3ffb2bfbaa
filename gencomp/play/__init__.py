"""A live page that shows what a compressor thinks: a local server, and the page that it serves."""
