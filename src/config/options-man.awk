# options.tsv as the manual page reeve-clearml-agent(7).
function escaped(s)
{
    gsub(/\\/, "\\e", s)
    gsub(/-/, "\\-", s)
    return s
}
function section(kind, title, about)
{
    if (kind == last)
        return
    if (last != "")
        print ".El"
    last = kind
    print ".Sh " title
    print about
    print ".Bl -tag -width Ds"
}
BEGIN {
    FS = "\t"
    print ".\\\" made from src/config/options.tsv"
    print ".Dd December 1, 2026\n.Dt REEVE-CLEARML-AGENT 7\n.Os\n.Sh NAME\n.Nm reeve-clearml-agent"
    print ".Nd what reeve does for each option, variable and flag of clearml-agent"
    print ".Sh DESCRIPTION"
    print "A host that has a\n.Pa clearml.conf\nand\n.Ev CLEARML_*\nvariables for clearml-agent needs no others for"
    print ".Xr reeved 8 .\nThis page has all that clearml-agent knows, and one word for each:"
    print ".Bl -tag -width Ds"
    print ".It same\nreeve does what clearml-agent does."
    print ".It better\nIt is not needed: the line says what there is in its place."
    print ".It later\nKnown, and not used by this version.\nWhat is set otherwise than clearml-agent has it by itself is named in one line at start."
    print ".It refused\nNot done; one line at start says so, and in some cases, marked below, the master does not start."
    print ".It reeve\nreeve's own."
    print ".El\n.Pp"
    print "A name below\n.Va agent.reeve\nthat is not here is an error, which names the nearest known one;\nan unknown name below"
    print ".Va agent\nor\n.Va api\nis said at start, with the nearest, and is an error for\n.Ql reeve config ."
    print "Flags that are not here are errors too.\n.Pp\n.Ql reeve config --options\nprints the same list."
}
/^#/ { next }
$1 == "option" { section("option", "OPTIONS", "Of\n.Pa clearml.conf .") }
$1 == "variable" { section("variable", "VARIABLES", "Of the environment; a file has less weight than they have.") }
$1 == "flag" { section("flag", "COMMANDS AND FLAGS", "Of clearml-agent, and so of\n.Xr reeve 1 .") }
{
    print ".It " ($1 == "flag" ? "Ic" : $1 == "option" ? "Va" : "Ev") " " escaped($2)
    print $3 ($4 == "error" ? ", an error" : "") ($6 == "" ? "." : ":")
    if ($6 != "")
        print "\\&" escaped($6) "."
}
END {
    print ".El\n.Sh SEE ALSO\n.Xr reeve 1 ,\n.Xr reeved 8"
}
