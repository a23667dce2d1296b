"""CI files: what CI systems have to know of the pipeline, rendered from ``delivery.toml``."""
