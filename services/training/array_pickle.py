"""Reads a pickle of numpy arrays by name, without trusting it.

A pickle is a program: opening one can do anything. This unpickler knows the few steps that build numpy arrays, and
builds stand-ins with them, which run no code, reserve no memory and are looked at before they become numbers.
"""

import mmap
import pickle
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from shared.errors import WeightsInvalid

LARGEST = 2**30  # bytes of a pickle; VGGFace2's has a fifth of it, or half in pickle's readable protocol
MOST_READS = 200_000  # of a pickle, each making an object at most; VGGFace2's needs about a tenth
MOST_SIDES = 8  # of an array

# The opcodes that a dictionary of arrays needs, in all of pickle's protocols.
ADMITTED_OPCODES = (
    *(pickle.PROTO, pickle.STOP, pickle.MARK, pickle.GLOBAL, pickle.STACK_GLOBAL),
    *(pickle.REDUCE, pickle.EMPTY_LIST, pickle.LIST, pickle.APPEND, pickle.APPENDS, pickle.SETITEM, pickle.SETITEMS),
    *(pickle.TUPLE, pickle.EMPTY_TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3),
    *(pickle.PUT, pickle.BINPUT, pickle.LONG_BINPUT, pickle.MEMOIZE, pickle.GET, pickle.BINGET, pickle.LONG_BINGET),
    *(pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE, pickle.INT, pickle.BININT, pickle.BININT1, pickle.BININT2),
    *(pickle.LONG, pickle.LONG1, pickle.STRING, pickle.BINSTRING, pickle.SHORT_BINSTRING),
    *(pickle.UNICODE, pickle.BINUNICODE, pickle.SHORT_BINUNICODE, pickle.BINUNICODE8),
    *(pickle.BINBYTES, pickle.SHORT_BINBYTES, pickle.BINBYTES8),
)


class _Kind:
    """Stands for numpy.dtype: what an array's numbers are, as "<f4"."""

    def __init__(self, code: Any, *_flags: Any) -> None:
        if code not in ("f2", "f4", "f8", "i4", "i8"):
            raise WeightsInvalid(f"The file has an array of kind {quoted(code)}; only arrays of numbers are admitted.")
        self.code = code

    def build(self, state: Any) -> None:
        """`state` is what numpy.dtype stores: the order of bytes is its second part."""
        self.code = f"{'<' if state[1] == '<' else '>'}{self.code[-2:]}"


class StoredArray:
    """Stands for a numpy.ndarray: what was stored of it, not yet numbers. `kind` is numpy's code, as "<f4"."""

    def __init__(self, *_reconstruction: Any) -> None:
        self.shape: tuple[int, ...] = ()
        self.kind, self.columns_first = "nothing", False
        self.content: bytes | str = b""

    def build(self, state: Any) -> None:
        """`state` is what numpy.ndarray stores: version, shape, kind, whether columns come first, and the bytes."""
        _, shape, kind, columns_first, content = state
        if not isinstance(kind, _Kind) or not isinstance(content, bytes | str):
            raise WeightsInvalid("The file has an array that is not stored as plain numbers.")
        if not isinstance(shape, tuple) or len(shape) > MOST_SIDES or not all(map(_is_side, shape)):
            raise WeightsInvalid("The file has an array of an impossible shape.")
        self.shape, self.kind, self.columns_first, self.content = shape, kind.code, columns_first is True, content

    def numbers(self) -> np.ndarray:
        """A float32 array; `kind` must be "<f4". Raises WeightsInvalid unless there are as many as its shape says."""
        if len(self.content) != 4 * prod(self.shape):
            raise WeightsInvalid(f"An array of shape {self.shape} has {len(self.content)} bytes of numbers.")
        try:
            content = self.content if isinstance(self.content, bytes) else self.content.encode("latin-1")
        except UnicodeEncodeError as error:
            raise WeightsInvalid("The numbers of an array are stored as a text that is no bytes.") from error
        numbers = np.frombuffer(content, "<f4")
        return numbers.reshape(self.shape[::-1]).T if self.columns_first else numbers.reshape(self.shape)


class _ByName(dict[str, Any]):
    """A dictionary that takes text for keys and nothing else: hashing a hostile key could take for ever, or crash."""

    def __init__(self, pairs: Any = ()) -> None:
        super().__init__()
        for name, value in pairs:
            self[name] = value

    def __setitem__(self, name: str, value: Any) -> None:
        if type(name) is not str:
            raise WeightsInvalid("The file names a tensor by something other than text.")
        super().__setitem__(name, value)


def _bytes_as_text(text: Any, encoding: Any) -> Any:
    """Stands for _codecs.encode, with which newer Pythons write the bytes of arrays in the older protocols.

    The text is handed on as it is, as Python 2's arrays come: copies of it could fill the memory.
    """
    if encoding not in ("latin1", "latin-1"):
        raise WeightsInvalid(f"The file uses the encoding {quoted(encoding)}.")
    return text


ADMITTED = {
    ("numpy.core.multiarray", "_reconstruct"): StoredArray,
    ("numpy._core.multiarray", "_reconstruct"): StoredArray,
    ("numpy", "ndarray"): StoredArray,
    ("numpy", "dtype"): _Kind,
    ("_codecs", "encode"): _bytes_as_text,
    ("collections", "OrderedDict"): _ByName,
}


class _FewReads:
    """A pickle's bytes, as long as it does not ask for them too often: many small objects fill the memory as well."""

    def __init__(self, content: mmap.mmap) -> None:
        self._content, self._left = content, MOST_READS

    def read(self, size: int = -1) -> bytes:
        """As files do; what a file claims and does not have is not reserved."""
        self._count()
        return self._content.read(size)

    def readline(self) -> bytes:
        """As files do."""
        self._count()
        return self._content.readline()

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise WeightsInvalid("The file has many more parts than the weights of the network.")


class _NumbersUnpickler(pickle._Unpickler):
    """Python's own unpickler, with the admitted opcodes and stand-ins only.

    It is the one in Python and not the one in C, which reserves whatever memory a file claims to need.
    """

    # What the base class has, for the type checker.
    stack: list[Any]
    append: Callable[[Any], None]
    read: Callable[[int], bytes]
    pop_mark: Callable[[], list[Any]]

    def find_class(self, module: str, name: str) -> Any:
        """A stand-in. Nothing is imported."""
        if (module, name) not in ADMITTED:
            raise WeightsInvalid(f"The file asks for {quoted(f'{module}.{name}')}; it is not a file of arrays only.")
        return ADMITTED[module, name]

    def _load_frame(self) -> None:
        self.read(8)  # how long the frame is, which only helps to read ahead

    def _load_empty_dict(self) -> None:
        self.append(_ByName())

    def _load_marked_dict(self) -> None:
        items = self.pop_mark()
        self.append(_ByName(zip(items[::2], items[1::2], strict=True)))

    def _load_build(self) -> None:
        state = self.stack.pop()
        built = self.stack[-1]
        if not isinstance(built, StoredArray | _Kind):
            raise WeightsInvalid("The file changes something that is not an array.")
        built.build(state)

    dispatch = {code[0]: pickle._Unpickler.dispatch[code[0]] for code in ADMITTED_OPCODES} | {  # type: ignore[assignment]
        pickle.FRAME[0]: _load_frame,
        pickle.EMPTY_DICT[0]: _load_empty_dict,
        pickle.DICT[0]: _load_marked_dict,
        pickle.BUILD[0]: _load_build,
    }


def read_arrays(path: Path) -> dict[str, StoredArray]:
    """The arrays of a file, by name, as they are stored. Raises WeightsInvalid if it holds anything else, OSError."""
    size = path.stat().st_size
    if not 0 < size <= LARGEST:
        raise WeightsInvalid(f"The file has {size} bytes; the published one has about 175 million.")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        try:
            arrays = _NumbersUnpickler(_FewReads(content), encoding="latin-1").load()
        except WeightsInvalid:
            raise
        except Exception as error:  # a damaged pickle can fail in any way at all
            raise WeightsInvalid(f"The file is damaged, or no pickle of arrays ({type(error).__name__}).") from error
    if not isinstance(arrays, _ByName) or not all(isinstance(array, StoredArray) for array in arrays.values()):
        raise WeightsInvalid("The file does not hold arrays by name.")
    return arrays


def quoted(something: Any) -> str:
    """What a hostile file said, harmless to a terminal and short."""
    return ascii(str(something)[:80])


def _is_side(side: Any) -> bool:
    return type(side) is int and 0 <= side < 2**31
