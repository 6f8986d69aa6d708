"""What holds in every history of a driver that keeps the contract, one small function each."""
