"""The exact code length of liblzma's LZMA1 streams, for many suffixes after one prefix, with nothing written."""
