"""Excel files (.xlsx): each visible sheet as a table, with values as Excel shows them. By openpyxl (extra "data")."""

from __future__ import annotations

import datetime
import io
import re
import warnings
import zipfile
from collections.abc import Iterator
from typing import Any

from yaya.prepare.document import Broken, Document, ReadEvents, Unusable
from yaya.prepare.read.source_files import SourceFile, read_bytes
from yaya.prepare.read.tables import Row, from_rows
from yaya.prepare.read.zipped import library, member, parse_xml, unzipped

# Default names of sheets.
UNNAMED = re.compile(
    r"(?:Sheet|Tabelle|Feuil|Hoja|Planilha|Foglio|Blad|Ark|Munka|Arkusz|List|Sayfa|Лист|Аркуш|工作表|表|シート|시트)\s?\d*"
)
MERGED = re.compile(rb'<(?:\w+:)?mergeCell\s[^>]*?ref="([A-Z]+)(\d+):([A-Z]+)(\d+)"')
# A formula that was never computed, so that no value is stored with it.
UNCOMPUTED = re.compile(rb"(?:</(?:\w+:)?f>|<(?:\w+:)?f\s[^>]*/>)(?:<(?:\w+:)?v\s*/>|<v></v>)?</(?:\w+:)?c>")
CURRENCY = re.compile(r"\[\$([^\]-]+)(?:-[^\]]*)?\]|\"([^\"]+)\"|([€$£¥₹₽₩])|\\(.)")
ERRORS = frozenset({"#N/A", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#NULL!"})


def read_xlsx(file: SourceFile, events: ReadEvents) -> Iterator[Document]:
    """Reads each visible sheet: as records if its columns say so, else as text. Unusable for a damaged file."""
    openpyxl = library("openpyxl", "openpyxl", file)
    warnings.filterwarnings("ignore", module="openpyxl")  # about styles and charts that it does not read
    with unzipped(file, ".xlsx") as archive:
        for name in archive.namelist():
            if name.startswith("xl/worksheets/") or name == "xl/sharedStrings.xml":
                member(archive, name)  # raises for what is too large
        try:
            book = openpyxl.load_workbook(io.BytesIO(read_bytes(file)), read_only=True, data_only=True)
        except Exception as error:  # the library raises what its XML library raises
            raise Unusable("damaged", f"no readable Excel file: {error}", f"不是可读的 Excel 文件：{error}") from None
        for name in [name for name in names_in(archive) if name not in book.sheetnames]:
            events.broken(
                Broken(file.name, f"sheet {name}", Unusable("damaged", "the sheet is missing", "缺少这个工作表"))
            )
        for sheet in book.worksheets:
            if sheet.sheet_state != "visible":
                events.left_out(file.name, f"sheet {sheet.title}", "hidden sheet")
                continue
            data = member(archive, sheet._worksheet_path.lstrip("/"))
            remark_uncomputed(file, sheet.title, data, events)
            title = "" if UNNAMED.fullmatch(sheet.title) else sheet.title
            yield from from_rows(file, sheet_rows(file, sheet, data, events), events, title)


def names_in(archive: zipfile.ZipFile) -> list[str]:
    """The sheets that a file claims to have."""
    path = "xl/workbook.xml"
    if path not in archive.namelist():
        return []
    return [e.get("name") or "" for e in parse_xml(member(archive, path), path).iter() if e.tag.endswith("}sheet")]


def sheet_rows(file: SourceFile, sheet: Any, data: bytes, events: ReadEvents) -> Iterator[Row]:
    """Yields the rows that are not empty; a value in merged cells counts for each of their rows."""
    merged = merged_cells(data)
    held: dict[int, tuple[str, int]] = {}  # column -> text of merged cells around this row, and their last row
    number = 0
    sheet.reset_dimensions()  # programs write wrong ones
    try:
        for number, cells in enumerate(sheet.iter_rows(), 1):
            values = [shown(cell) for cell in cells]
            for column, text in enumerate(values, 1):
                if text and (number, column) in merged:
                    held[column] = text, merged[number, column]
            for column, (text, last) in list(held.items()):
                values += [""] * (column - len(values))
                values[column - 1] = text
                if number >= last:
                    del held[column]
            while values and not values[-1]:
                values.pop()
            if values:
                yield Row(f"sheet {sheet.title}, row {number}", values)
    except Exception as error:  # damaged XML: the library raises almost anything
        problem = Unusable("damaged", f"the sheet breaks off here: {error}", f"工作表在这里中断：{error}")
        events.broken(Broken(file.name, f"sheet {sheet.title}, row {number + 1}", problem))


def merged_cells(data: bytes) -> dict[tuple[int, int], int]:
    """(row, column) of the first of vertically merged cells -> their last row."""
    out = {}
    for left, top, _, bottom in MERGED.findall(data):
        if int(bottom) > int(top):
            column = 0
            for letter in left:
                column = column * 26 + letter - 64
            out[int(top), column] = int(bottom)
    return out


def shown(cell: Any) -> str:
    """A cell's value as Excel shows it, except that dates follow ISO 8601."""
    value = cell.value
    if value is None or value in ERRORS:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float):
        return number_shown(value, str(cell.number_format or "General"))
    if isinstance(value, datetime.datetime):
        midnight = value.time() == datetime.time()
        return value.date().isoformat() if midnight else value.isoformat(" ", "minutes")
    if isinstance(value, datetime.time):
        return value.isoformat("seconds" if value.second else "minutes")
    return str(value).strip()


def number_shown(value: float, form: str) -> str:
    """A number with the decimals, the percent sign and the currency of its format. ECMA-376, 18.8.30."""
    sections = form.split(";")
    form = sections[1] if value < 0 and len(sections) > 1 and sections[1].strip() else sections[0]
    digits = re.search(r"[0#?][0#?,.]*", re.sub(r'"[^"]*"|\[[^\]]*\]|\\.', "", form))
    if digits is None or "General" in form or "@" in form or re.search(r"[Ee][+-]|/", form):
        return plain(value)
    percent = "%" in form
    value = value * 100 if percent else value
    decimals = re.search(r"\.([0#?]*)", digits[0])
    places = len(decimals[1]) if decimals else 0
    text = f"{abs(value):{',' if ',' in digits[0].rstrip(',') else ''}.{places}f}"
    optional = len(decimals[1]) - len(decimals[1].rstrip("#?")) if decimals else 0
    for _ in range(optional):
        text = text[:-1] if text.endswith("0") else text
    text = text.rstrip(".")
    negative = value < 0 and any(digit in "123456789" for digit in text)
    unit = next((found for found in CURRENCY.finditer(form) if "".join(filter(None, found.groups())).strip()), None)
    name = next(filter(None, unit.groups())).strip() if unit else ""
    if percent:
        text += "%"
    elif name and unit is not None:
        before = unit.start() < form.index(digits[0][0])
        text = f"{name}{text}" if before and len(name) == 1 else f"{name} {text}" if before else f"{text} {name}"
    return f"-{text}" if negative else text


def plain(value: float) -> str:
    """A number without binary rounding noise: 0.1 + 0.2 is 0.3."""
    if isinstance(value, int) or (value == int(value) and abs(value) < 1e15):
        return str(int(value))
    return f"{value:.6f}".rstrip("0").rstrip(".") if abs(value) >= 1e-3 else f"{value:.6g}"


def remark_uncomputed(file: SourceFile, sheet: str, data: bytes, events: ReadEvents) -> None:
    """Remarks that formulas have no values, because the program that wrote the file did not compute them."""
    count = len(UNCOMPUTED.findall(data))
    if count:
        events.remark(
            "formulas",
            f"{file.name}, sheet {sheet}: formulas without a value: {count:,}. Open the file in Excel or LibreOffice and save it again",
            f"{file.name}，工作表 {sheet}：{count:,} 个公式没有值。请用 Excel 或 LibreOffice 打开并保存一次",
        )
