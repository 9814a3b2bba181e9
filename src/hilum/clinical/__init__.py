"""Clinical models: pure functions of numbers, each with its source."""
