"""What Elastic Load Balancing refuses, by resource; each function is named after its call.

https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_Operations.html
"""
