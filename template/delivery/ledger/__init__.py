"""The ledger: what happened to which artifact, where, when and by whom, kept in git."""
