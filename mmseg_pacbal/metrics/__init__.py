"""What is measured: pure functions of label maps, on NumPy."""
