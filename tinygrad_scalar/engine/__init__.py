"""`Value` and what it is made of. Nothing here knows who reads a graph."""
