"""What AWS refuses and moto accepts: AWS's own error code and wording, raised before moto changes anything.

Each function is named after the call that it may refuse.
"""
