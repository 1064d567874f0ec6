"""HTTP: what the pages and the hub's API have in common. Knows neither of them."""
