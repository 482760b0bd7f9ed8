"""The web pages of the mesh: the manual of its interface, for people (`/docs`) and for programs (`/openapi.json`).

It owns no data. It refuses to load anything from elsewhere, and to need a script where text will do.
"""
