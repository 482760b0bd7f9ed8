"""People: pseudonyms, and the one row that says who is behind each."""
