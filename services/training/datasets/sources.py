"""The data sets that facemem knows, as cards and reports name them."""

from services.training.datasets.data_set import Published, Source

_CHANGES = "ratings summarised; a model was trained on them"

OMI = Source(
    name="One Million Impressions (OMI), 854 of its 1,004 synthetic faces",
    credit="Peterson, Uddenberg, Griffiths, Todorov & Suchow (2022). Deep models of superficial face judgments. "
    "PNAS 119(17) e2115228119",
    changes=f"a subset, resized; {_CHANGES}",
    target="How memorable people judge a face to be on a slider from 0 to 100, averaged over raters, divided by 100.",
    licence="CC BY-NC-SA 4.0",
    licence_url="https://creativecommons.org/licenses/by-nc-sa/4.0/",
    licence_meaning="As the data: give credit, not for commercial use, share alike. It covers the weights of this "
    "bundle; the program around it has its own licence.",
    limits=(
        "It predicts how memorable people SAY a face is, not whether it is remembered: no memory test is behind it.",
        "It was trained and tested on synthetic faces, frontal or nearly so. On photographs its scores have not been "
        "checked against people.",
    ),
)

US_FACES = Source(
    name="10k US Adult Faces Database, its target photographs",
    credit="Bainbridge, Isola & Oliva (2013). The intrinsic memorability of face photographs. Journal of Experimental "
    "Psychology: General, 142(4), 1323-1334",
    changes=_CHANGES,
    target="The true hit rate of a face in a memory game, the third rate in the database's file of scores, 0 to 1: how "
    "often people who had seen the face recognised it. Whether false alarms are taken off is said beside the data.",
    licence="Terms of the 10k US Adult Faces Database",
    licence_url="",
    licence_meaning="The database is given out by its authors on request, under an agreement that forbids passing it "
    "on. Whether weights trained on it may be passed on is for that agreement to say; read it before you share this "
    "bundle. facemem ships neither the database nor such a bundle.",
    limits=(
        "It predicts measured memory: how often people recognised a photograph that they had seen some hundred "
        "photographs before. Other delays, tasks and viewers may give other orders.",
        "It was trained and tested on photographs of US adults, cut to an oval, made before 2013. On other photographs "
        "its scores have not been checked against people.",
    ),
)

US_FACES_PUBLISHED = Published(
    split_half=0.69,
    split_half_source="published, of hit rates: Bainbridge, Isola & Oliva (2013)",
    spearman=0.678,
    spearman_source="published on one such split; which faces fell into it is not published, so only the size and the "
    "proportions are the same",
)


def own(folder: str, column: str, low: float, high: float) -> Source:
    """A table of somebody's own: all that is known is its folder's name."""
    return Source(
        name=f"The folder '{folder}'",
        credit="Your own data, source not stated",
        changes="a model was trained on them",
        target=f"The column `{column}` of that folder's table, on a scale from {low:g} to {high:g}, brought to 0 to 1.",
        licence="Your own data, licence not stated",
        licence_url="",
        licence_meaning="What may be done with this bundle depends on the terms of those images and ratings.",
        limits=(
            "It predicts what that table holds. Whether that is a judgement or measured memory is not known here.",
            "It was trained and tested on the images of that folder. On others its scores have not been checked "
            "against people.",
        ),
    )
