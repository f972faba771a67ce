"""AWS on one machine: moto answers the API, and real parts stand behind what it says."""
