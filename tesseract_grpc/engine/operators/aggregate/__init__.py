"""What a group knows about its rows, maintained while rows come and go."""
