"""Maps of square cells: reading, regions, paths, sight and growth."""
