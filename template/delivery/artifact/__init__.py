"""The artifact: what is built once for a commit, what it is made of, and where it is kept."""
