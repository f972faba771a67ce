"""One package per AWS service: its subclass of moto's backend, what that starts, and what it refuses.

A `refusals` module has what AWS refuses and moto accepts, with AWS's own error codes and wording, raised
before any change. Its functions are named after their calls. If AWS's wording is not known, the
code is AWS's (from botocore's service model) and the wording is the model's description of it.
"""
