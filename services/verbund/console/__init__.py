"""The web pages of the mesh: what people work with (`/console/`), and the manual of its interface, for people (`/docs`)
and for programs (`/openapi.json`).

It owns no data: it asks the services with the person's own token, and shows what they answer. It
refuses to load anything from elsewhere, and to need a script where text will do.
"""
