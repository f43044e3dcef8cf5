"""Where a certificate comes from: a chain of steps, each proven by itself, shown in the form that is asked for."""
