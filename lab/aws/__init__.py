"""AWS on one machine: moto serves the API, and real components do the work behind it."""
