"""How pages look, wherever people read them: the design tokens, what all pages are made of, and what each site adds."""
