"""The benchmarks of `make bench` and `make bench-peers`: what is compared, how, and the tables."""
