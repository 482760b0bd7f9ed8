"""The two doors to PostgreSQL, and migrations. Nothing else in the project opens a cursor."""
