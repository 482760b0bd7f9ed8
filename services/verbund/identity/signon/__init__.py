"""The sign-on of browsers: identity is the OpenID provider of the mesh, and sends people home to prove who they are."""
