import pytest

from rungwise.datasets import parse_netlist, read_netlist
from rungwise.theory.boolean import hypercube

FULL_ADDER = """
# a full adder
input(a)
INPUT (b)   # spaces are free
  Input( c )

output(total)
OUTPUT(carry)
total = Xor(differ, c)
carry=OR( both ,passed)
differ = xor(a,b)
both = And(a, b)
passed = AND(differ, c)
"""


def refused(text):
    with pytest.raises(ValueError) as caught:
        parse_netlist(text)
    return str(caught.value)


def test_inputs_outputs_and_gates_keep_the_order_of_the_text():
    netlist = parse_netlist(FULL_ADDER)
    assert netlist.input_names == ("a", "b", "c")
    assert netlist.output_names == ("total", "carry")
    assert [(gate.name, gate.kind, gate.sources) for gate in netlist.gates] == [
        ("total", "parity", ("differ", "c")),
        ("carry", "or", ("both", "passed")),
        ("differ", "parity", ("a", "b")),
        ("both", "and", ("a", "b")),
        ("passed", "and", ("differ", "c")),
    ]


def test_full_adder_adds():
    model = parse_netlist(FULL_ADDER).to_model()
    values = dict(zip(model.label_names, (model(hypercube(3)) > 0).T, strict=True))
    assert (values["total"] + 2 * values["carry"]).tolist() == [0, 1, 1, 2, 1, 2, 2, 3]
    assert model.level.tolist() == [2, 3, 1, 1, 2]


def test_line_ends_of_any_system_and_a_byte_order_mark_are_read(tmp_path):
    path = tmp_path / "adder.bench"
    path.write_bytes(b"\xef\xbb\xbf" + FULL_ADDER.strip().replace("\n", "\r\n").encode())
    assert read_netlist(path) == read_netlist(str(path)) == parse_netlist(FULL_ADDER)


def test_comments_in_another_encoding_are_no_obstacle(tmp_path):
    path = tmp_path / "adder.bench"
    path.write_bytes("# zähler\n".encode("latin-1") + FULL_ADDER.encode())
    assert read_netlist(path) == parse_netlist(FULL_ADDER)


def test_names_may_hold_brackets_dots_and_digits():
    netlist = parse_netlist("INPUT(1)\nINPUT(bus[3])\nOUTPUT(n.$7)\nn.$7 = NOR(1, bus[3])")
    assert netlist.gates[0].sources == ("1", "bus[3]")
    assert netlist.output_names == ("n.$7",)


def test_names_tell_letter_case_apart():
    model = parse_netlist("INPUT(a)\nA = NOT(a)").to_model()
    assert model.parents("A") == ["a"]


def test_flip_flop_gives_an_input_and_leaves_a_label():
    # Counts modulo 4 while it is enabled.
    netlist = parse_netlist("""
        q0 = DFF(d0)
        q1 = DFF(d1)
        INPUT(enable)
        d0 = XOR(q0, enable)
        carry = AND(q0, enable)
        d1 = XOR(q1, carry)
        OUTPUT(q1)
    """)
    assert netlist.input_names == ("enable", "q0", "q1")
    assert netlist.output_names == ("q1",)
    model = netlist.to_model()
    rows = hypercube(3)
    enable, q0, q1 = (rows > 0).T.astype(int)
    d0, _, d1 = (model(rows) > 0).T.astype(int)
    assert model.label_names == ["d0", "carry", "d1"]
    assert ((d0 + 2 * d1) == (q0 + 2 * q1 + enable) % 4).all()


def test_flip_flop_may_close_a_circle():
    netlist = parse_netlist("q = DFF(d)\nd = NOT(q)")
    assert netlist.to_model().level.tolist() == [1]


def test_output_listed_twice_counts_once():
    assert parse_netlist("INPUT(a)\nOUTPUT(y)\nOUTPUT(y)\ny = NOT(a)").output_names == ("y",)


@pytest.mark.parametrize(
    "statement",
    [
        "hello",
        "y = ",
        "y AND(a, b)",
        "y = AND a, b",
        "y = AND(a, b",
        "y = AND(a b)",
        "y = AND(a,, b)",
        "y = AND(a, b,)",
        "y = AND(a, b) x",
        "y = z = AND(a, b)",
        "AND(a, b)",
        "y = INPUT(a)",
    ],
)
def test_what_is_no_statement_is_shown_with_its_line(statement):
    message = refused(f"INPUT(a)\n\n{statement}  # comment\n")
    assert message.startswith("line 3: a statement must be INPUT(a), OUTPUT(a) or y = GATE(a, b, …), however: ")
    assert repr(statement.strip()) in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "INPUT(a)\ny = MUX(a, a, a)",
            "line 2: a gate must be one of AND, BUF, BUFF, DFF, NAND, NOR, NOT, OR, XNOR, XOR, however: 'MUX'",
        ),
        (
            "INPUT(a)\ny = not(a, a)",
            "line 2: NOT must have exactly one signal in its parentheses, however: 'y = not(a, a)'",
        ),
        ("y = BUFF()", "line 1: BUFF must have exactly one signal in its parentheses, however: 'y = BUFF()'"),
        ("INPUT(a, b)", "line 1: INPUT must have exactly one signal in its parentheses, however: 'INPUT(a, b)'"),
        ("q = DFF(a, b)", "line 1: DFF must have exactly one signal in its parentheses, however: 'q = DFF(a, b)'"),
        ("# none\ny = OR( )", "line 2: OR must have at least one signal in its parentheses, however: 'y = OR( )'"),
        (
            "INPUT(a)\nb = NOT(a)\n\nb = BUFF(a)",
            "line 4: a signal must be defined once, however: 'b' is defined in line 2 already",
        ),
        ("INPUT(a)\nINPUT(a)", "line 2: a signal must be defined once, however: 'a' is defined in line 1 already"),
        (
            "a = DFF(a)\nINPUT(a)\n",
            "line 2: a signal must be defined once, however: 'a' is defined in line 1 already",
        ),
        (
            "INPUT(a)\ny = AND(a, b)\nz = OR(b, a)",
            "line 2: a signal must be an INPUT or be computed somewhere, however: 'b' is not",
        ),
        (
            "INPUT(a)\nOUTPUT(z)\ny = NOT(a)",
            "line 2: a signal must be an INPUT or be computed somewhere, however: 'z' is not",
        ),
        (
            "INPUT(a)\nq = DFF(z)\ny = NOT(a)",
            "line 2: a signal must be an INPUT or be computed somewhere, however: 'z' is not",
        ),
    ],
)
def test_faults_are_reported_with_their_line(text, message):
    assert refused(text) == message


@pytest.mark.parametrize("text", ["", "# only a comment", "INPUT(a)\nOUTPUT(a)\nq = DFF(a)"])
def test_netlist_without_gates_is_refused(text):
    message = refused(text)
    assert message.startswith("a netlist must have at least one gate, such as 'y = NAND(a, b)', however: it has ")
    assert message.endswith("and no gate")


def test_circle_is_shown_from_its_first_line():
    message = refused("INPUT(a)\nfine = NOT(a)\nx = AND(fine, z)\ny = NOT(x)\nz = OR(y, a)\nw = NOT(z)")
    assert message.startswith("line 3: gates must not depend on one another in a circle")
    circle = message.rpartition(": ")[2].split(" -> ")
    assert circle[0] == circle[-1]
    assert set(circle) == {"x", "y", "z"}


def test_gate_that_reads_itself_is_a_circle():
    assert refused("INPUT(a)\ny = XOR(y, y, a)").endswith("however: y -> y")


def test_message_about_a_file_names_the_file(tmp_path):
    path = tmp_path / "broken.bench"
    path.write_text("INPUT(a)\ny = AND(a", encoding="utf-8")
    with pytest.raises(ValueError, match=r"broken\.bench: line 2: a statement must be"):
        read_netlist(path)


def test_missing_file_and_folder_are_reported_as_such(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"readable \.bench file \(parse_netlist .*'.*absent\.bench': No such"):
        read_netlist(tmp_path / "absent.bench")
    with pytest.raises(OSError, match=r"must be a readable \.bench file"):
        read_netlist(tmp_path)


def test_text_given_as_a_path_is_pointed_to_parse_netlist():
    with pytest.raises(OSError, match="parse_netlist takes its text"):
        read_netlist(FULL_ADDER)
