"""The times in ns of what cost_model.py counts, measured on 29 November 2026:
Intel(R) Xeon(R) Processor, AVX-512, one thread.

Written by `python benchmarks/cost_model.py`.
"""

NS: dict[str, dict[str, float]] = {
    "NumPy": {
        "beyond the cache": 0.143,
        "call": 4560.0,
        "folded": 1.76,
        "function": 3.54,
        "gathered": 1.05,
        "product": 1900.0,
        "quick": 0.906,
        "rows of products": 0.0631,
        "scattered": 2.32,
        "slow": 6.84,
        "statement": 1160.0,
    },
    "blocks": {
        "call": 5200.0,
        "folded": 1.39,
        "function": 1.78,
        "gathered": 0.29,
        "medium": 0.474,
        "product of a block": 169.0,
        "quick": 0.107,
        "rows of products": 0.0656,
        "scattered": 1.18,
        "slow": 7.8,
        "statement": 25.0,
        "statement of a block": 4.43,
    },
    "scalar": {
        "alone function": 55.7,
        "alone looked up": 297.0,
        "alone medium": 64.8,
        "alone quick": 4.83,
        "alone slow": 30.2,
        "call": 4460.0,
        "function": 6.02,
        "looked up": 19.7,
        "medium": 2.86,
        "parameters": 9.78,
        "quick": 2.42,
        "slow": 18.8,
        "steps": 0.722,
    },
}
