# SPDX-License-Identifier: Apache-2.0
"""The index of a folder of shards, read as an untrusted file."""

from typing import Any

from pytorchvideo._text import parse_json

_SAMPLE = (str, int, int, int, str)  # member, offset, size, class, name


def parse_index(content: bytes, source: str) -> Any:
    """Returns what an index holds, ``{"class_names": [...], "shards": {name: {"bytes", "samples"}}}``.

    Raises:
        ValueError: it is no json, or its places are not in the shards.
    """
    index = _parse(content, source)
    if isinstance(index, dict):
        names, shards = index.get("class_names") or [], index.get("shards", {})
        if (
            "class_names" not in index
            or not isinstance(names, list)
            or not all(isinstance(name, str) for name in names)
            or not isinstance(shards, dict)
            or not all(map(_is_shard, shards.values()))
        ):
            raise ValueError(f"{source} is not the index of shards.")
    return index


def parse_member(content: bytes | None, source: str) -> Any:
    """Returns what the ``.json`` or ``.cls`` of a sample holds; None where it is no file."""
    return None if content is None else _parse(content, source)


def _parse(content: bytes, source: str) -> Any:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{source} is not text in UTF-8.") from error
    return parse_json(text, source)


def _is_shard(shard: Any) -> bool:
    if not isinstance(shard, dict) or not isinstance(shard.get("samples"), list):
        return False
    size = shard.get("bytes")
    return isinstance(size, int) and all(_is_sample(sample, size) for sample in shard["samples"])


def _is_sample(sample: Any, num_bytes: int) -> bool:
    if not isinstance(sample, list) or tuple(map(type, sample)) != _SAMPLE:
        return False
    _, offset, size, _, _ = sample
    return 0 <= offset <= offset + size <= num_bytes and size >= 0
