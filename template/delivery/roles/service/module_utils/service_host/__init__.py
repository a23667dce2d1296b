"""One service on one host: its releases, the one that is live, and what happened to them."""
