"""Protocol tests against real model servers, with a model made on the spot."""
