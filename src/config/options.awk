# options.tsv as the rows of a C table.
function quoted(s)
{
    gsub(/\\/, "\\\\", s)
    gsub(/"/, "\\\"", s)
    return "\"" s "\""
}
BEGIN { FS = "\t" }
/^#/ { next }
NF != 6 { print FILENAME ":" FNR ": six columns are expected" > "/dev/stderr"; exit 1 }
{
    printf "    {OPTION_%s, %s, OPTION_%s, ", toupper($1), quoted($2), toupper($3)
    printf "OPTION_SAY_%s, %s, %s},\n", $4 == "" ? "NOTHING" : toupper($4), quoted($5), quoted($6)
}
