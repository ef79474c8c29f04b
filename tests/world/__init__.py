"""The tiny world that all machines play in: two tables, few keys, few values, random questions and writes over them."""
