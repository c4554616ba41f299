"""`read_csv`: what a CSV file can look like, and every fault named by line and column; `iris`: Fisher's table."""

import re
from collections import Counter

import pytest

from tinygrad_scalar import datasets
from tinygrad_scalar.datasets import MISSING, Table, iris, is_number, read_csv

# --- what is read ----------------------------------------------------------------------------------------------------

ROWS = [["1", "x"], ["-2.5", "y"]]
# the bytes of a file whose columns are a and b
READ = {
    "commas": b"a,b\n1,x\n-2.5,y\n",
    "no last line end": b"a,b\n1,x\n-2.5,y",
    "semicolons": b"a;b\n1;x\n-2.5;y\n",
    "tabs": b"a\tb\n1\tx\n-2.5\ty\n",
    "a byte order mark": b"\xef\xbb\xbfa,b\n1,x\n-2.5,y\n",
    "a byte order mark and quotes": b'\xef\xbb\xbf"a";"b"\n1;x\n-2.5;y\n',
    "windows line ends": b"a,b\r\n1,x\r\n-2.5,y\r\n",
    "old Mac line ends": b"a,b\r1,x\r-2.5,y\r",
    "spaces around cells": b"a , b\n 1, x\n-2.5 ,y \n",
    "everything quoted": b'"a","b"\n"1","x"\n"-2.5","y"\n',
    "quoted after a space": b'a, "b"\n1, "x"\n-2.5, "y"\n',
    "blank lines": b"a,b\n\n1,x\n\n\n-2.5,y\n\n",
    "blank lines before the header": b"\n\na;b\n1;x\n-2.5;y\n",
    "bars": b"a|b\n1|x\n-2.5|y\n",
    "a spreadsheet's word for its delimiter": b"sep=;\r\na;b\r\n1;x\r\n-2.5;y\r\n",
    "UTF-16 with a byte order mark": "a,b\n1,x\n-2.5,y\n".encode("utf-16"),
    "UTF-16, little end first": "a;b\n1;x\n-2.5;y\n".encode("utf-16-le"),
    "UTF-16, big end first": "a\tb\n1\tx\n-2.5\ty\n".encode("utf-16-be"),
    "lines of white space": b"a,b\n  \n1,x\n\t\n-2.5,y\n",
}


@pytest.mark.parametrize("content", READ.values(), ids=READ)
def test_the_usual_kinds_of_csv_file_read_the_same(content, tmp_path):
    (tmp_path / "t.csv").write_bytes(content)
    table = read_csv(tmp_path / "t.csv")
    assert (table.columns, table.rows) == (["a", "b"], ROWS)
    assert table.name == str(tmp_path / "t.csv")


# an encoding, a city in it, what the table says of it
ENCODINGS = {
    "utf-8": ("Zürich", "UTF-8"),
    "utf-8-sig": ("東京", "UTF-8"),
    "utf-16": ("Łódź", "UTF-16"),
    "utf-16-be": ("Zürich", "UTF-16"),
    "latin-1": ("Zürich", "Windows-1252 (Latin-1)"),
    "cp1252": ("Zürich, 5 €", "Windows-1252 (Latin-1)"),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_encoding_of_a_file_is_found_and_told(encoding, tmp_path):
    city, told = ENCODINGS[encoding]
    (tmp_path / "t.csv").write_bytes(f"city;size\n{city};1\n".encode(encoding))
    table = read_csv(tmp_path / "t.csv")
    assert (table.column("city"), table.encoding, table.delimiter) == ([city], told, ";")
    assert read_csv(tmp_path / "t.csv", encoding=encoding).column("city") == [city]


def test_an_encoding_that_is_given_is_the_one_that_is_read_and_one_that_does_not_fit_is_refused(tmp_path):
    (tmp_path / "t.csv").write_bytes("a,b\nŁódź,1\n".encode("cp1250"))
    assert read_csv(tmp_path / "t.csv", encoding="cp1250").column("a") == ["Łódź"]
    with pytest.raises(ValueError, match=r"t\.csv is not UTF-8 text \(byte 4\)"):
        read_csv(tmp_path / "t.csv", encoding="utf-8")
    with pytest.raises(ValueError, match="there is no encoding 'klingon'"):
        read_csv(tmp_path / "t.csv", encoding="klingon")


# content whose first line alone could be divided by several signs, and the sign
DIVIDED = {
    "decimal commas": ("size, cm;width, cm;kind\n1,5;2,5;a\n2,5;3,5;b\n", ";"),
    "decimal commas everywhere": ("x;y\n1,5;2,5\n2,5;3,5\n", ";"),
    "semicolons in cells": ("name,tags\na,x; y\nb,z\n", ","),
    "bars in cells": ("a,b | c,d\n1,2,3\n", ","),
    "tabs among commas": ("length, cm\twidth, cm\n1\t2\n", "\t"),
    "one column": ("a\n1\n2\n", ","),
}


@pytest.mark.parametrize(("content", "delimiter"), DIVIDED.values(), ids=DIVIDED)
def test_the_delimiter_is_the_sign_that_divides_all_rows_alike(content, delimiter, tmp_path):
    (tmp_path / "t.csv").write_text(content, "utf-8")
    assert read_csv(tmp_path / "t.csv").delimiter == delimiter


# content, delimiter by delimiter: a quoted cell may hold anything
QUOTED = {
    "a comma": ('a,b\n1,"x, y"\n', "x, y"),
    "a semicolon among commas": ('a,b\n1,"x; y"\n', "x; y"),
    "a comma among semicolons": ('a;b\n1;"x, y"\n', "x, y"),
    "a decimal comma among semicolons": ("a;b\n1;2,5\n", "2,5"),
    "a line end": ('a,b\n1,"x\ny"\n', "x\ny"),
    "quotes": ('a,b\n1,"x ""y"""\n', 'x "y"'),
    "other letters": ("a,b\n1,σ🙂ß\n", "σ🙂ß"),
    "a form feed": ("a,b\n1,x\x0cy\n", "x\x0cy"),
    "a line separator": ("a,b\n1,x\u2028y\n", "x\u2028y"),
    "a next-line sign": ("a,b\n1,x\x85y\n", "x\x85y"),
}


@pytest.mark.parametrize(("content", "cell"), QUOTED.values(), ids=QUOTED)
def test_a_cell_keeps_what_it_holds(content, cell, tmp_path):
    (tmp_path / "t.csv").write_text(content, "utf-8", newline="")
    assert read_csv(tmp_path / "t.csv").column("b") == [cell]


# header lines whose names hold other delimiters, and the names
HEADERS = {
    "commas among semicolons": ('"length, cm";"width, cm";species', ["length, cm", "width, cm", "species"]),
    "semicolons among commas": ('"a; b; c",d', ["a; b; c", "d"]),
    "commas among tabs": ('"length, cm"\tb', ["length, cm", "b"]),
}


@pytest.mark.parametrize(("header", "columns"), HEADERS.values(), ids=HEADERS)
def test_a_delimiter_inside_quotes_in_the_header_does_not_count(header, columns, tmp_path):
    delimiter = re.sub('"[^"]*"', "", header)[0]
    row = delimiter.join(str(i) for i in range(len(columns)))
    (tmp_path / "t.csv").write_text(f"{header}\n{row}\n", "utf-8")
    table = read_csv(tmp_path / "t.csv")
    assert (table.columns, table.rows) == (columns, [[str(i) for i in range(len(columns))]])


# content, the lines at which its rows begin
LINES = {
    "one after another": (b"a,b\n1,2\n3,4\n", [2, 3]),
    "blank lines": (b"a,b\n\n1,2\n\n\n3,4\n", [3, 6]),
    "blank lines before the header": (b"\n\na,b\n1,2\n", [4]),
    "a cell of three lines": (b'a,b\n"1\n\n",2\n3,4\n', [2, 5]),
    "a header of two lines": (b'"a\nunit",b\n1,2\n3,4\n', [3, 4]),
    "windows line ends": (b'a,b\r\n\r\n"1\r\n",2\r\n3,4\r\n', [3, 5]),
    "a quoted form feed": (b'a,b\n"1\x0c",2\n3,4\n', [2, 3]),
    "a quoted line separator": ('a,b\n"1\u2028",2\n3,4\n'.encode(), [2, 3]),
}


@pytest.mark.parametrize(("content", "lines"), LINES.values(), ids=LINES)
def test_lines_are_counted_as_an_editor_counts_them(content, lines, tmp_path):
    (tmp_path / "t.csv").write_bytes(content)
    assert read_csv(tmp_path / "t.csv").lines == lines


# --- faults ----------------------------------------------------------------------------------------------------------

# content, what the error says besides the file's name
FAULTS = {
    "an empty file": (b"", "no rows"),
    "only blank lines": (b"\n\n\n", "no rows"),
    "a header only": (b"a,b\n", "no rows"),
    "a header and blank lines": (b"a,b\n\n\n", "no rows"),
    "a row too short": (b"a,b,c\n1,2,3\n4,5\n", "line 3 has 2 cells.*3 columns"),
    "a row too long": (b"a,b\n1,2\n\n3,4,5\n", "line 4 has 3 cells.*2 columns"),
    "a row too long after a long cell": (b'a,b\n"1\n",2\n3,4,5\n', "line 4 has 3 cells"),
    "two columns of one name": (b"a,b,a\n1,2,3\n", "line 1: two columns are named 'a'"),
    "a column without a name": (b"a,,c\n1,2,3\n", "line 1: column 2 has no name"),
    "a last column without a name": (b"a,b,\n1,2,3\n", "line 1: column 3 has no name"),
    "numbers for a header": (b"5.1,3.5\n4.9,3.0\n", "line 1 must name the columns, but holds numbers"),
    "numbers for a header below blank lines": (
        b"\n\n5.1,3.5\n4.9,3.0\n",
        "line 3 must name the columns, but holds numbers",
    ),
    "a column without a name below a blank line": (b"\na,\n1,2\n", "line 2: column 2 has no name"),
    "two columns of one name below a blank line": (b"\na,a\n1,2\n", "line 2: two columns"),
    "a picture": (b"\x89PNG\r\n\x1a\n\x00\x00", "is not UTF-8 text"),
    "a quote left open": (b'a,b\n1,2\n"3,4\n5,6\n', "line [34]: unexpected end of data"),
    "text after a quote": (b'a,b\n1,2\n"3"x,4\n', "line 3: "),
    "a cell of a megabyte": (b"a,b\n1," + b"x" * 1_000_000 + b"\n", "line 2: field larger"),
}


@pytest.mark.parametrize(("content", "words"), FAULTS.values(), ids=FAULTS)
def test_a_file_that_is_no_table_is_an_error_that_names_the_file_and_the_line(content, words, tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words) as caught:
        read_csv(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_the_usual_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_csv(tmp_path / "nowhere.csv")
    with pytest.raises(IsADirectoryError):
        read_csv(tmp_path)


@pytest.mark.parametrize("cell", sorted(MISSING | {cell.upper() for cell in MISSING} | {"  ", '""', "NaN"}))
@pytest.mark.parametrize("read", [Table.column, Table.numbers])
def test_a_missing_value_is_an_error_that_names_line_and_column(cell, read, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(f"id,width\n1,2\n\n3,{cell}\n")
    with pytest.raises(ValueError, match=r"t\.csv, line 4: the value of column 'width' is missing"):
        read(read_csv(path), "width")
    assert read(read_csv(path), "id")


@pytest.mark.parametrize(
    "cell", ["setosa", "1,5", "1.5 cm", "0x10", "1_000", "inf", "-Infinity", "1e999", "1 2", "--1"]
)
def test_a_cell_that_is_no_number_is_an_error_that_names_line_and_column(cell, tmp_path):
    (tmp_path / "t.csv").write_text(f"id;width\n1;2\n3;{cell}\n")
    table = read_csv(tmp_path / "t.csv")
    with pytest.raises(ValueError, match=rf"t\.csv, line 3: '{cell}' in column 'width' is not a finite number"):
        table.numbers("width")
    assert table.column("width") == ["2", cell]


def test_an_unknown_column_is_an_error_that_lists_those_there_are(tmp_path):
    (tmp_path / "t.csv").write_text("id,width\n1,2\n")
    table = read_csv(tmp_path / "t.csv")
    for read in (table.position, table.column, table.numbers):
        with pytest.raises(ValueError, match=r"no column 'height'; its columns are id, width"):
            read("height")


# --- reading a table -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cell", ["0", "-0", "1.5", "+2", "1e-3", ".5", "5.", "1E5", " 7 ", "123456789012345678901234567890"]
)
def test_a_finite_decimal_number_is_one(cell):
    assert is_number(cell)


def test_numbers_are_read_as_floats(tmp_path):
    (tmp_path / "t.csv").write_text("id,width\n1,0.1\n-2,1e-3\n")
    assert read_csv(tmp_path / "t.csv").numbers("width") == [0.1, 0.001]
    assert read_csv(tmp_path / "t.csv").position("width") == 1


def test_selected_rows_keep_the_lines_they_stood_on(tmp_path):
    (tmp_path / "t.csv").write_text("id,width\n1,2\n\n3,4\n5,x\n")
    table = read_csv(tmp_path / "t.csv")
    chosen = table.select([2, 0])
    assert (chosen.rows, chosen.lines, chosen.columns) == ([["5", "x"], ["1", "2"]], [5, 2], table.columns)
    with pytest.raises(ValueError, match="line 5"):
        chosen.numbers("width")


# --- iris ------------------------------------------------------------------------------------------------------------


def test_iris_has_fifty_flowers_of_each_of_three_species():
    table = iris()
    assert table.columns == ["sepal_length", "sepal_width", "petal_length", "petal_width", "species"]
    assert Counter(table.column("species")) == {"setosa": 50, "versicolor": 50, "virginica": 50}
    assert len(table.rows) == 150


# sums in tenths of a centimetre: Fisher's means, 5.843, 3.057, 3.758 and 1.199, times 150
SUMS = {"sepal_length": 8765, "sepal_width": 4586, "petal_length": 5637, "petal_width": 1799}


@pytest.mark.parametrize("column", SUMS)
def test_the_measures_of_iris_have_fishers_means(column):
    assert sum(round(10 * x) for x in iris().numbers(column)) == SUMS[column]


# row from 1 -> the flower: the first, the two in which UCI's copy differs from the paper, the last
FLOWERS = {
    1: "5.1,3.5,1.4,0.2,setosa",
    35: "4.9,3.1,1.5,0.2,setosa",
    38: "4.9,3.6,1.4,0.1,setosa",
    51: "7.0,3.2,4.7,1.4,versicolor",
    150: "5.9,3.0,5.1,1.8,virginica",
}


@pytest.mark.parametrize(("row", "flower"), FLOWERS.items())
def test_iris_is_fishers_table_not_ucis_copy(row, flower):
    *measures, species = iris().rows[row - 1]
    *expected, expected_species = flower.split(",")
    assert ([float(x) for x in measures], species) == ([float(x) for x in expected], expected_species)


# --- wide tables ------------------------------------------------------------------------------------------------------


class Unscanned(list):
    """A list that is not to be searched: a search for each column is quadratic in the columns."""

    def searched(self, *arguments):
        pytest.fail("a list of columns was searched")

    count = index = __contains__ = searched


def test_columns_are_found_and_checked_without_a_search_for_each():
    names = [f"c{i}" for i in range(1000)]
    table = Table("t.csv", Unscanned(names), [["1"] * 1000], [2])
    assert [table.position(name) for name in names] == list(range(1000))
    assert table.numbers("c999") == [1.0]
    datasets._check(table, 1)


def test_a_table_whose_columns_are_renamed_or_moved_later_finds_them():
    table = Table("t.csv", ["a", "b"], [["1", "2"]], [2])
    assert table.column("a") == ["1"]
    table.columns[:] = ["b", "c"]
    assert (table.column("b"), table.column("c")) == (["1"], ["2"])
    with pytest.raises(ValueError, match="no column 'a'; its columns are b, c"):
        table.position("a")


def test_an_error_in_a_wide_table_or_a_long_cell_is_short():
    table = Table("t.csv", [f"c{i}" for i in range(10_000)], [["x" * 10_000] * 10_000], [2])
    for name in ("nothing", "c7"):
        with pytest.raises(ValueError, match=name) as caught:
            table.numbers(name)
        assert len(str(caught.value)) < 300
