"""What every Python test of the project shares: see the README beside this folder."""
