"""Nouns and rules of the product, as values.  Imports nothing but msgspec and pure standard library."""
