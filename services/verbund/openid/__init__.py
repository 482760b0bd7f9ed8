"""What every OpenID provider here does alike: read requests, answer them, and show pages for people.

Identity is one for browsers; the built-in provider of trials is another. Whom they let in, each says itself.
"""
