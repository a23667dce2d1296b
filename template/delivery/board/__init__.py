"""The board: questions asked of the ledger, answered in a terminal, on a page or as JSON."""

DAYS = 91  # the figures are of so many
ROWS = 20  # the newest versions
PORT = 8300  # where it is served
