"""CI systems: what is emitted is what is rendered, is clean, and ran the pipeline."""
