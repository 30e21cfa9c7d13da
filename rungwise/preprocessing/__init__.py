"""From what a user brings to what the network reads: tables into numbers, numbers into inputs of one scale."""
