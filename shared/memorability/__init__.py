"""The model: text queries attend over image patches, and the logit splits exactly into words and regions.

This file and `catalogue` import no torch, because the API reads bundles too. docs/model.md tells the whole story.
"""

# Of a logit: what the parts of a score may miss it by. Float32 sums over some 10,000 terms stay well below.
ADDS_UP_WITHIN = 1e-4
