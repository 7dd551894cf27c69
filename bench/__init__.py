"""What the service costs, beside its ceilings and what others cost for the same work; see bench/README.md."""
