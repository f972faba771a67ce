"""What AWS refuses and moto accepts: AWS's own error codes and wording, raised before anything has changed.

Each function is named after the call that it may refuse. Where AWS's wording is not known, the code is AWS's
(botocore's service model has it) and the wording is the model's description of it.
"""
