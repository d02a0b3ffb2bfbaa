"""A live page on which one sees what a compressor thinks: a local server, and the page that it gives."""
