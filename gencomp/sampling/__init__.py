"""Reading a model backwards: from code lengths to bytes. One symbol's choice, then the loop."""
