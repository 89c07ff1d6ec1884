import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.errors import InputError, RecordError
from labkit.report.notes_file import read_notes, with_new_block

BEGIN, END = b"<!-- labkit report last -->", b"<!-- /labkit -->"


def read(tmp_path, data):
    path = tmp_path / "notes.md"
    path.write_bytes(data)
    return read_notes(path)


def filled(notes, text="new"):
    return notes.replaced(dict.fromkeys(notes.blocks, text))


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_only_what_stands_between_the_markers_changes(tmp_path, newline):
    lines = [b"\xef\xbb\xbf# \xff no UTF-8", BEGIN, b"old", b"| older |", END, b"  tail\x0cand", b"no end"]
    notes = read(tmp_path, newline.join(lines))
    assert [(block.arguments, block.line) for block in notes.blocks] == [("last", 2)]
    expected = [*lines[:2], b"**a**", b"", b"| b |", *lines[4:]]
    assert filled(notes, "**a**\n\n| b |") == newline.join(expected)


def test_a_marker_on_the_first_line_behind_a_byte_order_mark(tmp_path):
    data = b"\xef\xbb\xbf" + BEGIN + b"\n" + END
    assert filled(read(tmp_path, data)) == b"\xef\xbb\xbf" + BEGIN + b"\nnew\n" + END


def test_several_blocks_each_with_its_own_text(tmp_path):
    notes = read(
        tmp_path, b"<!-- labkit report -->\n<!--/labkit-->\nmid\n  <!-- labkit report a b -->\nx\n  <!-- /labkit -->\n"
    )
    assert [block.arguments for block in notes.blocks] == ["", "a b"]
    whole = notes.replaced({notes.blocks[0]: "one", notes.blocks[1]: "two\n\nthree"})
    assert whole.splitlines()[1:6] == [b"one", b"<!--/labkit-->", b"mid", b"  <!-- labkit report a b -->", b"  two"]
    assert whole.splitlines()[6:8] == [b"", b"  three"]
    assert notes.replaced({notes.blocks[1]: "two"}).startswith(b"<!-- labkit report -->\n<!--/labkit-->\n")


@pytest.mark.parametrize("line", ["<!-- /labkit -->", "  <!-- labkit report last -->", "```", "~~~~ html"])
@pytest.mark.parametrize("newline", ["\n", "\r"])
def test_a_text_that_would_end_or_hide_its_block_is_refused(tmp_path, line, newline):
    notes = read(tmp_path, BEGIN + b"\n" + END + b"\n")
    with pytest.raises(InputError, match="line 1: a line of its table would end or hide the block"):
        filled(notes, f"**a**{newline}{line}{newline}b")
    assert filled(notes, f"**a {line}**").splitlines()[1] == f"**a {line}**".encode()


def test_markers_within_fenced_code_or_beside_other_text_are_none(tmp_path):
    fenced = b"```html\n" + BEGIN + b"\n~~~\n" + END + b"\n```\n~~~~\n```\n" + BEGIN + b"\n~~~~\n"
    prose = b"put `" + BEGIN + b"` here\n"
    assert read(tmp_path, fenced + prose).blocks == ()
    notes = read(tmp_path, fenced + prose + BEGIN + b"\n" + END + b"\n")
    assert [block.line for block in notes.blocks] == [11]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (BEGIN + b"\n", "the block of line 1 has no end"),
        (b"a\n" + END + b"\n", "line 2 ends a block that no line begins"),
        (BEGIN + b"\nx\n" + BEGIN + b"\n" + END, "line 3 begins a block within that of line 1"),
        (b"\n<!-- labkit reprot -->\n" + END, "line 2 asks for 'reprot'"),
        (b"a\0b", "no text file"),
    ],
)
def test_what_does_not_pair_is_refused_by_its_line(tmp_path, data, words):
    with pytest.raises(InputError, match=words):
        read(tmp_path, data)
    assert (tmp_path / "notes.md").read_bytes() == data


@pytest.mark.parametrize(
    ("data", "before"),
    [(b"", b""), (b"a", b"a\n\n"), (b"a\n", b"a\n\n"), (b"a\n\n", b"a\n\n"), (b"a\r\nb", b"a\r\nb\r\n\r\n")],
)
def test_a_new_block_stands_at_the_end_behind_an_empty_line(tmp_path, data, before):
    newline = b"\r\n" if b"\r" in data else b"\n"
    longer = with_new_block(read(tmp_path, data), "last")
    assert filled(longer) == before + newline.join([BEGIN, b"new", END, b""])


def test_a_new_block_cannot_stand_within_code_nor_end_its_own_comment(tmp_path):
    with pytest.raises(InputError, match="within fenced code"):
        with_new_block(read(tmp_path, b"```\ncode\n"), "last")
    with pytest.raises(InputError, match="cannot stand in a comment"):
        with_new_block(read(tmp_path, b""), "'a-->b'")


def test_a_file_that_changed_meanwhile_is_left_alone(tmp_path):
    notes = read(tmp_path, b"mine\n")
    (tmp_path / "notes.md").write_bytes(b"edited\n")
    with pytest.raises(RecordError, match="was changed while"):
        notes.write(b"new\n")
    assert (tmp_path / "notes.md").read_bytes() == b"edited\n"


def test_a_link_stays_a_link_and_a_mode_a_mode(tmp_path):
    target = tmp_path / "real.md"
    target.write_bytes(b"x\n")
    target.chmod(0o600)
    link = tmp_path / "notes.md"
    link.symlink_to("real.md")
    read_notes(link).write(b"y\n")
    assert (os.readlink(link), target.read_bytes()) == ("real.md", b"y\n")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.md", "real.md"]


def test_a_folder_is_no_file_and_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="cannot read"):
        read_notes(tmp_path)
    with pytest.raises(InputError, match="there is no folder"):
        read_notes(tmp_path / "no" / "notes.md")


@given(before=st.binary(max_size=60), after=st.binary(max_size=60), text=st.text("ab|\n", max_size=20))
def test_replacing_keeps_every_other_byte_and_twice_is_once(tmp_path_factory, before, after, text):
    if b"\0" in before + after or b"`" in before or b"~" in before:
        return
    path = tmp_path_factory.mktemp("notes") / "notes.md"
    path.write_bytes(before + b"\n" + BEGIN + b"\nold\n" + END + b"\n" + after)
    once = filled(read_notes(path), text)
    assert once.startswith(before + b"\n" + BEGIN) and once.endswith(END + b"\n" + after)
    path.write_bytes(once)
    assert filled(read_notes(path), text) == once
