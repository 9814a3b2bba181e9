"""What a person reads: pages and documents made from an assessment."""
