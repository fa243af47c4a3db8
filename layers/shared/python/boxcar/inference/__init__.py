"""Daily and monthly inference: new rows of the warehouse get predictions, which go back to it exactly once."""
