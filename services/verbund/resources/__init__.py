"""The mechanics of resources as the AIPs have them: names, times, etags, page tokens, field masks, filters."""
