"""One picture of a job's result, made to be looked at."""

from services.contact_sheet.cards import FACES
from services.contact_sheet.content import SheetContent, SheetFace, SheetImage
from services.contact_sheet.sheet import draw

__all__ = ["FACES", "SheetContent", "SheetFace", "SheetImage", "draw"]
