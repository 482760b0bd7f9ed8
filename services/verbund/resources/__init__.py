"""The mechanics of resources as the AIPs have them: names, etags, page tokens, field masks, filters."""
