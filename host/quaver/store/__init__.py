"""The store room: every record once, and the ledger of what is missing."""
