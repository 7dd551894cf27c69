"""What one can ask of us: a method for each use case."""
