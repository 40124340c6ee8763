"""What a server says about itself: models, window, capabilities."""
