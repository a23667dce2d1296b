"""How a project that is there already joins; `hooks/adopt.py` is its command."""
