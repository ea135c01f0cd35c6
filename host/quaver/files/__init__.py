"""The files room: files of the package, pinned downloads, private files, and CSV rows."""
