"""How things read: templates rendered, foreign text quoted, artifacts and the report in words."""
