"""What `mulu bench` measures: one module a measurement, which returns figures and prints nothing."""
