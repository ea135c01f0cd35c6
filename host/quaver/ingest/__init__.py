"""The ingest room: a broker's messages opened, verified, dated and stored; and the ledger of what is missing."""
