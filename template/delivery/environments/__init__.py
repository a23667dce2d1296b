"""The environments: what is put into them, taken back from them, and found there."""
