"""What is asked: queries and filters, checked against a schema and brought into normal form."""
