"""The pipeline: stages run for a commit, the gates before them, and the people who decide."""
