"""What happens in a step: one node, one file, one public function."""
