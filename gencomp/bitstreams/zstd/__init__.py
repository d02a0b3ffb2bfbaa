"""What zstd would write, without writing it: a frame's bits for many suffixes after one prefix."""
