"""The Organization Service."""
