"""Run records, and the RO-Crates made of them."""
