"""The describer: a captioner that needs no model. It writes what it measured and nothing else.

It never says who somebody is, and never guesses age, sex or origin.
"""

import numpy as np

from shared.captions import words
from shared.captions.features import Eyes, Mouth, Pose, Skin
from shared.captions.hair import Hair
from shared.captions.measures import measure
from shared.captions.picture import Light, Scene

DESCRIBER_VERSION = "5"  # goes with every caption; raise it when any caption changes


def describe(crop: np.ndarray, landmarks_in_crop: np.ndarray) -> str:
    """One English paragraph of 30 to 70 words about a face.

    `crop` is uint8 (224, 224, 3) RGB; `landmarks_in_crop` (5, 2) in its pixels: left eye, right eye, nose, left and
    right corner of the mouth, left as seen in the picture. The same input gives the same words.
    """
    measured = measure(crop, landmarks_in_crop)
    sentences = (
        _mouth(measured.mouth),
        _eyes(measured.eyes),
        _skin(measured.skin),
        _hair(measured.hair),
        _head(measured.pose),
        _light(measured.light),
        _scene(measured.scene),
        _picture(measured.scene),
    )
    return " ".join(sentence[0].upper() + sentence[1:] + "." for sentence in sentences)


def _listed(*phrases: str) -> str:
    *first, last = [phrase for phrase in phrases if phrase]
    return ", ".join(first) + " and " + last if first else last


def _side(scale: words.Scale, value: float) -> str:
    """The word for the size of a measure whose sign is a side of the picture."""
    return scale.word(abs(value)).format("right" if value > 0 else "left")


def _mouth(mouth: Mouth) -> str:
    lips = words.MOUTH_DRAWN.word(mouth.drawn) + words.LIPS.word(mouth.lips)
    inside = words.TEETH.word(mouth.teeth)
    return f"{words.SMILE.word(mouth.smile)} with {lips}" + (f" {inside}" if inside else "")


def _eyes(eyes: Eyes) -> str:
    if eyes.rims >= words.GLASSES_FROM and eyes.covered >= words.DARK_GLASSES_FROM:
        return "dark glasses hide the eyes"
    brows = words.BROWS.word(eyes.brows) + " brows"
    seen = words.EYES_DARK.word(eyes.dark) + words.EYES_DRAWN.word(eyes.drawn)
    if eyes.rims >= words.GLASSES_FROM:
        return f"glasses over {seen} and {brows}"
    below = words.EYES_BELOW.word(eyes.rims)
    return f"{seen} under {brows}" + (f", {below}" if below else "")


def _skin(skin: Skin) -> str:
    grades = (words.SKIN_TEXTURE.word(skin.texture), words.SKIN_RED.word(skin.red), words.SKIN_TONE.word(skin.tone))
    return _listed(", ".join(filter(None, grades)) + " skin", words.BEARD.word(skin.beard))


def _hair(hair: Hair) -> str:
    shape = ", ".join(filter(None, (words.HAIR_VOLUME.word(hair.volume), words.HAIR_LENGTH.word(hair.length))))
    return _listed(
        f"{shape} {words.hair_colour(hair.light, hair.colour)}",
        words.FRINGE.word(hair.fringe),
        words.BARE.word(hair.bare),
    )


def _head(pose: Pose) -> str:
    return "head " + _listed(_side(words.TURN, pose.yaw), words.NOD.word(pose.pitch), _side(words.TILT, pose.roll))


def _light(light: Light) -> str:
    contrast = words.CONTRAST.word(light.contrast)
    cast = f"{words.LIGHT_LEVEL.word(light.level)} light {_side(words.LIGHT_SIDE, light.side)}"
    return f"{cast} with {contrast}" if contrast else cast


def _scene(scene: Scene) -> str:
    background = f"{words.BUSY.word(scene.busy)} {words.colour(scene.background)} background"
    return f"{background}{words.OUTDOORS.word(scene.outdoors)}, {words.colour(scene.clothing)} below the chin"


def _picture(scene: Scene) -> str:
    colours = f"{words.COLOURFUL.word(scene.colourful)}, {words.WARMTH.word(scene.warmth)} colours"
    return _listed(colours, words.SHARP.word(scene.sharp))
