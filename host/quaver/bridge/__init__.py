"""The bridge: opened records from the store of `quaver ingest`, to other systems in the standards that they speak."""
