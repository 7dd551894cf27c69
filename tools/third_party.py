"""The .proto files of others that ours import, made from wheels that requirements/dev.txt locks."""

from __future__ import annotations

import importlib.util
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from protovalidate._gen.buf.validate import validate_pb

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

VALIDATE = "buf/validate/validate.proto"
GOOGLE_RPC = ("google/rpc/error_details.proto", "google/rpc/status.proto")

HEADER = """\
// The rules that a request can be held to: buf.validate by Buf Technologies, Inc., Apache License 2.0.
//
// Made by `tools/generate.py --third-party` from the descriptor in the protovalidate {version} wheel; not to
// be edited. A descriptor has no comments, and the CEL expressions behind the standard rules are left out:
// whoever checks by these rules has them. The original is proto/protovalidate/{path} in
// github.com/bufbuild/protovalidate.

"""

MAX_EXTENSION_END = 536_870_912
"""End of an extension range, exclusive, that is written as `max`."""


def third_party() -> dict[Path, bytes]:
    """Every file of third_party/proto by its path below that folder."""
    files = {Path(VALIDATE): validate_proto().encode()}
    for name in GOOGLE_RPC:
        files[Path(name)] = _wheel_file(name).read_bytes()
    return files


def validate_descriptor() -> FileDescriptorProto:
    """The descriptor of buf.validate that the protovalidate wheel carries."""
    return FileDescriptorProto.FromString(validate_pb.desc().proto.to_binary())


def validate_proto() -> str:
    """The source text for that descriptor."""
    header = HEADER.format(version=version("protovalidate"), path=VALIDATE)
    return header + "\n".join(_file(validate_descriptor())) + "\n"


def _wheel_file(name: str) -> Path:
    package, _, base = name.rpartition("/")
    spec = importlib.util.find_spec(package.replace("/", "."))
    if spec is None or spec.submodule_search_locations is None:
        raise FileNotFoundError(f"{name}: install googleapis-common-protos")
    return next(path for folder in spec.submodule_search_locations if (path := Path(folder, base)).exists())


def _file(file: FileDescriptorProto) -> Iterator[str]:
    """Lines of a proto2 file; what buf.validate doesn't use, such as services and maps, isn't known."""
    yield 'syntax = "proto2";'
    yield ""
    yield f"package {file.package};"
    yield ""
    for path in file.dependency:
        yield f'import "{path}";'
    for extension in file.extension:
        yield ""
        yield f"extend {extension.extendee.removeprefix('.')} {{"
        yield f"  {_field(extension, file.package)}"
        yield "}"
    for enum in file.enum_type:
        yield ""
        yield from _enum(enum)
    for message in file.message_type:
        yield ""
        yield from _message(message, file.package)


def _message(message: DescriptorProto, package: str) -> Iterator[str]:
    yield f"message {message.name} {{"
    for nested in message.nested_type:
        yield from _indent(_message(nested, package))
    for enum in message.enum_type:
        yield from _indent(_enum(enum))
    reserved = ((r.start, r.end - 1) for r in message.reserved_range)
    yield from _indent(_reserved(reserved, message.reserved_name))
    yield from _indent(_fields(message, package))
    for extensions in message.extension_range:
        end = "max" if extensions.end == MAX_EXTENSION_END else extensions.end - 1
        yield f"  extensions {extensions.start} to {end};"
    yield "}"


def _fields(message: DescriptorProto, package: str) -> Iterator[str]:
    """Fields in the order of the descriptor; those of a oneof together, where the first of them stands."""
    written = set()
    for field in message.field:
        if not field.HasField("oneof_index"):
            yield _field(field, package)
        elif field.oneof_index not in written:
            written.add(field.oneof_index)
            yield f"oneof {message.oneof_decl[field.oneof_index].name} {{"
            for other in message.field:
                if other.HasField("oneof_index") and other.oneof_index == field.oneof_index:
                    yield f"  {_field(other, package)}"
            yield "}"


def _field(field: FieldDescriptorProto, package: str) -> str:
    named = field.type_name.removeprefix(".").removeprefix(f"{package}.")
    type_ = named or FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    label = FieldDescriptorProto.Label.Name(field.label).removeprefix("LABEL_").lower()
    options = []
    if field.HasField("default_value"):
        options.append(f"default = {field.default_value}")
    if field.options.deprecated:
        options.append("deprecated = true")
    start = "" if field.HasField("oneof_index") else f"{label} "
    end = f" [{', '.join(options)}]" if options else ""
    return f"{start}{type_} {field.name} = {field.number}{end};"


def _enum(enum: EnumDescriptorProto) -> Iterator[str]:
    yield f"enum {enum.name} {{"
    for value in enum.value:
        yield f"  {value.name} = {value.number};"
    reserved = ((r.start, r.end) for r in enum.reserved_range)
    yield from _indent(_reserved(reserved, enum.reserved_name))
    yield "}"


def _reserved(ranges: Iterable[tuple[int, int]], names: Iterable[str]) -> Iterator[str]:
    """Reserved numbers, both ends of a range included, and names."""
    for start, end in ranges:
        yield f"reserved {start};" if start == end else f"reserved {start} to {end};"
    for name in names:
        yield f'reserved "{name}";'


def _indent(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        yield f"  {line}" if line else line
