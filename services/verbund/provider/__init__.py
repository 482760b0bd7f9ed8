"""The built-in OpenID provider of a trial: it stands for the providers at which organisations keep their own people.

It is no area of the mesh. Its people are invented, and it refuses to run where the settings say production.
"""
