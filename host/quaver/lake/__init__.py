"""The lake: what a store holds as Parquet files by site and day, for those who analyse it."""
