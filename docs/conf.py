"""Sphinx's settings for the template's own documentation."""

project = "walking-skeleton"
author = "The walking-skeleton authors"
html_theme = "furo"
html_title = "walking-skeleton"
exclude_patterns = ["_build"]
nitpicky = True
