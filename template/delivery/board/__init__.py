"""The board: questions asked of the ledger, answered in a terminal, on a page or as JSON."""
