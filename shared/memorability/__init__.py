"""The model: text queries attend over image patches, and the logit splits exactly into words and regions.

This file and `catalogue` import no torch, because the API reads bundles too. docs/model.md tells the whole story.
"""
