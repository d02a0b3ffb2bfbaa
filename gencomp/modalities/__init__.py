"""Text, images and sound as bytes, and bytes as text, images and sound. Needs no model; knows none."""
