"""Tests of the scripted model server, through the clients people use."""
