"""Files that are zip archives: books, Word and Excel files. Explains in the user's terms what is wrong with one."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
import zipfile
import zlib
from typing import Any

from yaya.core.extras import need
from yaya.prepare.document import Unusable
from yaya.prepare.read.signatures import kind_of, what_it_is
from yaya.prepare.read.source_files import LARGEST, SourceFile, read_bytes

LARGEST_MEMBER = 64 << 20  # bytes of one file inside, unpacked


def unzipped(file: SourceFile, ending: str) -> zipfile.ZipFile:
    """The archive; Unusable where it is damaged, of another kind, or larger than LARGEST. ending: `.docx`."""
    data = read_bytes(file)
    what = what_it_is(data)
    if what and f"({ending})" not in what[0] and "zip" not in what[0]:
        raise other_kind(what, ending)
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError):
        en = f"no readable {ending} file: inside should be a whole zip archive"
        raise Unusable("damaged", en, f"不是可读的 {ending} 文件：里面应当是完整的 zip") from None
    if sum(info.file_size for info in archive.infolist()) > LARGEST:
        raise Unusable("too large", f"unpacks to more than {LARGEST >> 20} MB", f"解压后超过 {LARGEST >> 20} MB")
    return archive


def other_kind(what: tuple[str, str], ending: str) -> Unusable:
    """The problem of a file that is not what its name says."""
    if kind_of(what) == "password":
        return password("this Office file", "这个 Office 文件")
    return Unusable(kind_of(what), f"no {ending} file: this is {what[0]}", f"不是 {ending} 文件：这是{what[1]}")


def member(archive: zipfile.ZipFile, path: str) -> bytes:
    """One file inside; Unusable where it is missing, broken, encrypted, or larger than LARGEST_MEMBER."""
    try:
        with archive.open(path) as stream:
            data = stream.read(LARGEST_MEMBER + 1)
    except KeyError:
        raise Unusable("damaged", f"{path} is missing", f"缺少 {path}") from None
    except (RuntimeError, NotImplementedError, zipfile.BadZipFile, OSError, EOFError, zlib.error) as error:
        if isinstance(error, RuntimeError) and "password" in str(error):
            raise password("this archive", "这个压缩包") from None
        raise Unusable("damaged", f"{path} cannot be read: {error}", f"{path} 读不了：{error}") from None
    if len(data) > LARGEST_MEMBER:
        size = f"{LARGEST_MEMBER >> 20} MB"
        raise Unusable("too large", f"{path} unpacks to more than {size}", f"{path} 解压后超过 {size}")
    return data


def local(element: ET.Element) -> str:
    """An element's name without its namespace."""
    return element.tag.rpartition("}")[2]


def parse_xml(data: bytes, path: str) -> ET.Element:
    """Returns the XML of a member; Unusable where it is broken."""
    try:
        return ET.fromstring(data)
    except (ET.ParseError, ValueError, LookupError) as error:
        raise Unusable("damaged", f"{path} is broken XML: {error}", f"{path} 的 XML 已损坏：{error}") from None


def password(en: str, zh: str) -> Unusable:
    """The problem of an encrypted file; en, zh: what it is."""
    return Unusable("password", f"{en} needs a password", f"{zh}需要密码")


def library(module: str, package: str, file: SourceFile) -> Any:
    """Imports a library that the file needs; UserError where it is not installed."""
    needs = (f"To read {file.name}, yaya needs {package}", f"读 {file.name} 需要 {package}")
    leave_out = (". Or leave such files out of sources.", "。也可以从 sources 里去掉这类文件。")
    return need(module, "yaya[data]", *needs, instead=leave_out)
