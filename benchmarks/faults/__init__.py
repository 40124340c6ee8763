"""The fault matrix: every misbehaviour of a model server, in every protocol, must end as it should."""
