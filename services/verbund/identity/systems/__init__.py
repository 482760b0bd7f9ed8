"""Systems: the IT systems of organisations, and the public keys they prove themselves with."""
