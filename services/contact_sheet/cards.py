"""One face, one image with its faces, one image without any."""

from io import BytesIO

from PIL import Image, ImageDraw, ImageOps

from services.api.schemas import FaceResult
from services.client.wording import why_no_score
from services.contact_sheet.content import SheetFace, SheetImage
from shared.drawing.caption import coloured_caption
from shared.drawing.ink import CARD, FAINT, INK, RAISING, SMOOTH, SOFT, bar, rounded, text
from shared.drawing.layout import beside, card, ends, grid, stack
from shared.drawing.page import word_maps
from shared.wording import flagged, ordinal

CARD_WIDTH = 760
PADDING = 22
INSIDE = CARD_WIDTH - 2 * PADDING
PHOTO_WIDTH = 290  # beside the one face of an image
PHOTO_HEIGHT = 620  # at most, whichever way it stands
GAP = 14
PICTURE_RADIUS = 8
LINE = 3  # of the frame around a face
BADGE = 30  # the circle with its number
WORDS = 3  # that have a map of their own
MAPS_GAP = 8
ONE_FACE_LINES, SEVERAL_FACES_LINES = 5, 10  # of a caption: all that the describer says
FACES = 12  # of one image, largest first; a crowd would make a sheet of its own
TILE_WIDTH = 368
THUMBNAIL = (112, 84)


def image_card(image: SheetImage) -> Image.Image:
    """An image with at least one face that has a score."""
    faces = image.faces[:FACES]
    name = text(image.result.image, 19, SOFT, width=INSIDE)
    if len(faces) == 1:
        photo = _photo(image, PHOTO_WIDTH)
        words = face_words(faces[0], INSIDE, ONE_FACE_LINES)
        body = stack([beside([photo, _face(faces[0], INSIDE - PHOTO_WIDTH - PADDING)], PADDING), words], GAP)
    else:
        half = (INSIDE - PADDING) // 2
        blocks = [
            stack([_face(face, half, numbered=True), face_words(face, half, SEVERAL_FACES_LINES)], GAP)
            for face in faces
        ]
        body = stack([_photo(image, INSIDE), grid(blocks, 2, PADDING)], PADDING)
    pieces = [name, body]
    if hidden := image.left_out + len(image.faces) - len(faces):
        pieces.append(text(f"and {hidden:,} smaller faces, which are in the results", 17, SOFT, width=INSIDE))
    return card(stack(pieces, GAP), CARD_WIDTH, PADDING)


def tile(image: SheetImage) -> Image.Image:
    """An image without a face that can be shown, and why there is none."""
    if image.photo is None:
        thumbnail = Image.new("RGB", THUMBNAIL, FAINT)
        cross = text("?", 40, SOFT)
        thumbnail.paste(cross, ((THUMBNAIL[0] - cross.width) // 2, (THUMBNAIL[1] - cross.height) // 2), cross)
    else:
        thumbnail = ImageOps.fit(_opened(image.photo), THUMBNAIL, Image.Resampling.LANCZOS)
    width = TILE_WIDTH - 3 * GAP - THUMBNAIL[0]
    words = [
        text(image.result.image, 17, INK, width=width),
        text(_why_no_face(image), 17, SOFT, width=width, lines=2),
    ]
    return card(beside([rounded(thumbnail, PICTURE_RADIUS), stack(words, 2)], GAP), TILE_WIDTH, GAP)


def _why_no_face(image: SheetImage) -> str:
    scores = [f"{face.score:.2f}" for face in image.result.faces if face.score is not None]
    if not scores:
        return why_no_score(image.result)
    # Of a job that keeps scores only.
    return f"Scored {', '.join(scores[:3])}{' …' if len(scores) > 3 else ''}; its pictures were not kept."


def _face(face: SheetFace, width: int, *, numbered: bool = False) -> Image.Image:
    result, explained = face.result, face.explained()
    side = (width - GAP) // 2
    crop = explained.picture(side)
    if numbered:
        crop.paste(*_badge(result.face, (8, 8)))
    pictures = beside([rounded(crop, PICTURE_RADIUS), rounded(explained.heat_map(side), PICTURE_RADIUS)], GAP)
    pieces = [pictures, _score(result, width), bar((width, 8), INK, (result.percentile or 0) / 100)]
    maps = word_maps(explained, WORDS, (width - (WORDS - 1) * MAPS_GAP) // WORDS, MAPS_GAP)
    if maps is not None:
        pieces.append(maps)
    return stack(pieces, GAP)


def face_words(face: SheetFace, width: int, lines: int) -> Image.Image:
    """The coloured caption, why to trust the score less if there is a reason, and the sum of all parts."""
    explained = face.explained()
    pieces = [coloured_caption(explained.caption, explained.words, width, size=17, lines=lines)]
    if warning := flagged(face.result.flags):
        pieces.append(text(warning, 16, RAISING, width=width, lines=3))
    pieces.append(text(explained.sum(), 14, SOFT, width=width, lines=2))
    return stack(pieces, 6)


def _score(result: FaceResult, width: int) -> Image.Image:
    score = text(f"{result.score:.2f}", 44, INK, bold=True)
    spread = text(f"± {result.uncertainty:.2f}", 22, SOFT)
    rank = text(f"{ordinal(result.percentile or 0)} percentile", 19, SOFT)
    # The small letters shall stand on the line of the large ones.
    left = Image.new("RGBA", (score.width + 10 + spread.width, score.height))
    left.alpha_composite(score)
    left.alpha_composite(spread, (score.width + 10, score.height - spread.height - 8))
    raised = Image.new("RGBA", (rank.width, rank.height + 9))
    raised.alpha_composite(rank)
    return ends(left, raised, width)


def _photo(image: SheetImage, width: int) -> Image.Image:
    """The photo with the box of each face, numbered if there are several."""
    assert image.photo is not None
    photo = ImageOps.contain(_opened(image.photo), (width, PHOTO_HEIGHT), Image.Resampling.LANCZOS)
    scale = photo.width / (image.result.width or photo.width)
    for face in image.faces:
        _frame(photo, [edge * scale for edge in face.result.box])
    if len(image.faces) > 1:
        for face in image.faces:
            corner = (round(face.result.box[0] * scale) - 6, round(face.result.box[1] * scale) - 6)
            photo.paste(*_badge(face.result.face, corner))
    return rounded(photo, PICTURE_RADIUS)


def _frame(photo: Image.Image, box: list[float]) -> None:
    """A white frame with a dark edge, to be seen on any ground. Drawn in place, on the part of the photo around it."""
    left, top = round(box[0]) - LINE, round(box[1]) - LINE
    right, bottom = round(box[2]) + LINE, round(box[3]) + LINE
    frame = Image.new("RGBA", ((right - left) * SMOOTH, (bottom - top) * SMOOTH))
    pen = ImageDraw.Draw(frame)
    pen.rounded_rectangle(
        (0, 0, frame.width - 1, frame.height - 1), 7 * SMOOTH, (0, 0, 0, 0), (0, 0, 0, 110), 5 * SMOOTH
    )
    inner = (SMOOTH, SMOOTH, frame.width - 1 - SMOOTH, frame.height - 1 - SMOOTH)
    pen.rounded_rectangle(inner, 6 * SMOOTH, (0, 0, 0, 0), (*CARD, 255), LINE * SMOOTH)
    frame = frame.resize((right - left, bottom - top), Image.Resampling.LANCZOS)
    photo.paste(frame, (left, top), frame)


def _badge(number: int, corner: tuple[int, int]) -> tuple[Image.Image, tuple[int, int], Image.Image]:
    """A number in a dark circle, as the arguments to paste it."""
    badge = Image.new("RGBA", (BADGE, BADGE), (*INK, 255))
    label = text(str(number), 18, CARD)
    badge.alpha_composite(label, ((BADGE - label.width) // 2, (BADGE - label.height) // 2))
    badge = rounded(badge, BADGE // 2)
    return badge, (max(0, corner[0]), max(0, corner[1])), badge


def _opened(content: bytes) -> Image.Image:
    return Image.open(BytesIO(content)).convert("RGB")
