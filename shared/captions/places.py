"""What captions call the places of a portrait. Where they lie in a crop is known to `services/training/places.py`."""

PLACE_NAMES = {
    "mouth": ("mouth", "smile", "smiling", "lips", "teeth"),
    "eyes": ("eyes", "eye", "gaze", "glasses", "sunglasses"),
    "brows": ("brows", "brow", "eyebrows"),
    "nose": ("nose",),
    "cheeks": ("skin", "cheeks", "cheekbones", "complexion", "freckles"),
    "chin": ("chin", "jaw", "jawline", "beard", "stubble"),
    "forehead": ("forehead", "fringe"),
    "hair": ("hair", "hairline", "headwear", "hat"),
    "around": ("background",),
}
