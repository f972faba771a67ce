"""Lets `pytest --nbval notebooks/` compare outputs as the project's own tests do."""

# pyproject.toml switches nbval off, since its import takes two seconds of each run of pytest.
pytest_plugins = ["nbval.plugin", "tests.notebooks.compare"]
