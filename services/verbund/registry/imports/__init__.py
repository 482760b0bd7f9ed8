"""Imports of project lists: files as others publish them, read row by row, mapped, and recorded through the mesh."""
