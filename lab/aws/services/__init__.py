"""One room per AWS service: its subclass of moto's backend, what that starts, and what it refuses.

A `refusals` module has what AWS refuses and moto accepts, in AWS's own error codes and wording, raised before
anything has changed. Its functions are named after the calls that they may refuse. Where AWS's wording is not
known, the code is AWS's (botocore's service model has it) and the wording is the model's description of it.
"""
