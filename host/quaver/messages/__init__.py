"""The messages room: what nodes publish, opened and in words."""
