//! The two-column tables of the E2E challenge, comma- or tab-separated, with or without a header.

use super::super::Kind;
use super::super::error::ScoreError;
use crate::delimited::{Record, records};
use regex::Regex;
use std::borrow::Cow;
use std::path::Path;

/// Which table: the name of its second column differs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Side {
    Reference,
    Output,
}

/// A row of a table.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    pub(super) source: String,
    pub(super) text: String,
    /// Where the row starts, from 1.
    pub(super) line: usize,
    /// Whether training saw the input's category, where the data set says so.
    pub(super) seen: Option<bool>,
    /// Which of the data set's entries it belongs to; a table has none.
    pub(super) entry: usize,
}

/// Whether a file is a table: by its name, or by its first line being a header or, of outputs, a meaning representation
/// and a text.
pub(super) fn is_table(path: &Path, text: &str, side: Side) -> bool {
    let named = path.extension().is_some_and(|extension| {
        extension.eq_ignore_ascii_case("csv") || extension.eq_ignore_ascii_case("tsv")
    });
    if named {
        return true;
    }
    let first = text.trim_start_matches('\u{feff}').lines().next();
    let first = first.unwrap_or_default();
    let is_act = |act: &str| act.contains('[') && act.trim_end().ends_with(']');
    if side == Side::Output
        && matches!(first.split_once('\t'), Some((act, text)) if is_act(act) && !text.contains('\t'))
    {
        return true;
    }
    records(first, separator(first)).is_ok_and(|records| {
        records.first().is_some_and(|header| {
            // Texts may start as names of columns do.
            let counts = [false, true].map(|whole| columns(&header.fields, side, whole));
            counts == [(1, 1); 2]
        })
    })
}

/// Repairs that the E2E script makes to pound signs and accents before it reads a table.
fn repaired(text: &str) -> String {
    text.replace('Ł', "£")
        .replace("Â£", "£")
        .replace("Ã©", "é")
        .replace("ã©", "é")
}

/// Reads a table's rows in order.
pub(super) fn parse(
    path: &Path,
    text: &str,
    side: Side,
    kind: Kind,
) -> Result<Vec<Row>, ScoreError> {
    let text = text.trim_start_matches('\u{feff}');
    let text: Cow<'_, str> = match kind {
        Kind::E2e => Cow::Owned(repaired(text)),
        _ => Cow::Borrowed(text),
    };
    let first = text.lines().find(|line| !line.trim().is_empty());
    let problem = |line: usize, problem: String| ScoreError::Layout {
        path: path.to_owned(),
        line,
        problem,
    };
    let records = records(&text, separator(first.unwrap_or_default()))
        .map_err(|open| problem(open.line, open.to_string()))?;
    let Some(Record {
        line: header_line,
        fields: header,
    }) = records.first()
    else {
        return Err(problem(1, "the table is empty".to_owned()));
    };
    let width = header.len();
    let (source, target, skip) = match columns(header, side, false) {
        (1, 1) => {
            let find = |pattern: &Regex| header.iter().position(|f| pattern.is_match(f));
            let (sources, targets) = patterns(side, false);
            (find(&sources), find(&targets), 1)
        }
        (0, 0) if width == 2 => (Some(0), Some(1), 0),
        _ => (None, None, 0),
    };
    let (Some(source), Some(target)) = (source, target) else {
        return Err(problem(
            *header_line,
            format!(
                "cannot tell the columns of {header:?}: expected a header with one meaning \
                 representation (mr) and one text column (ref or output), or two columns and no header"
            ),
        ));
    };
    records
        .into_iter()
        .skip(skip)
        .map(|Record { line, mut fields }| {
            if fields.len() != width {
                return Err(problem(
                    line,
                    format!("{} columns where the first row has {width}", fields.len()),
                ));
            }
            Ok(Row {
                source: std::mem::take(&mut fields[source]),
                text: std::mem::take(&mut fields[target]),
                line,
                seen: None,
                entry: 0,
            })
        })
        .collect()
}

fn separator(first_line: &str) -> char {
    if first_line.contains('\t') { '\t' } else { ',' }
}

/// How many columns a header has for sources and for texts.
fn columns(header: &[String], side: Side, whole: bool) -> (usize, usize) {
    let (sources, targets) = patterns(side, whole);
    let count = |pattern: &Regex| header.iter().filter(|f| pattern.is_match(f)).count();
    (count(&sources), count(&targets))
}

/// The header names that the official script knows. It matches them at the start of a field; `whole` wants nothing
/// behind them.
fn patterns(side: Side, whole: bool) -> (Regex, Regex) {
    let end = if whole { r"\s*$" } else { "" };
    let compile =
        |names: &str| Regex::new(&format!("(?i)^(?:{names})s?{end}")).expect("a fixed pattern");
    (
        compile(r"mr|src|source|meaning(?:[_ .-]rep(?:resentation)?)?|da|dial(?:ogue)?[_ .-]act"),
        compile(match side {
            Side::Reference => r"trg|tgt|target|ref(?:erence)?|human(?:[_ .-](?:ref(?:erence)?))?",
            Side::Output => {
                r"out(?:put)?|ref(?:erence)?|sys(?:tem)?(?:[_ .-](?:out(?:put)?|ref(?:erence)?))?"
            }
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, side: Side) -> Result<Vec<(String, String)>, String> {
        parse(Path::new("t.csv"), text, side, Kind::E2e)
            .map(|rows| rows.into_iter().map(|r| (r.source, r.text)).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn tables_with_quotes_breaks_and_repairs_are_read() {
        let read = rows(
            "\"mr\",\"ref\"\r\n\"a, b\",\"x \"\"y\"\"\r\nz Â£5\"\r\n\r\nc,d\r\n",
            Side::Reference,
        );
        let expected = [("a, b", "x \"y\"\r\nz £5"), ("c", "d")];
        let expected = expected.map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(read.expect("valid"), expected);
        let read = rows("\u{feff}MR\toutput\na\tb, \"c\"\nd\t\n", Side::Output).expect("valid");
        assert_eq!(read[0].1, "b, \"c\"");
        assert_eq!(read[1].1, "");
    }

    #[test]
    fn other_programs_than_e2es_repair_nothing() {
        let table = "mr,ref\na,Ł Â£ Ã© ã©\n";
        for (kind, text) in [(Kind::E2e, "£ £ é é"), (Kind::Bleu, "Ł Â£ Ã© ã©")] {
            let read = parse(Path::new("t.csv"), table, Side::Reference, kind).expect("valid");
            assert_eq!(read[0].text, text);
        }
    }

    #[test]
    fn a_table_is_known_by_its_name_its_header_or_its_acts() {
        let is = |name: &str, text: &str| is_table(Path::new(name), text, Side::Output);
        assert!(is("t.tsv", "a") && is("t.txt", "MR\toutput\na\tb"));
        assert!(is(
            "t.txt",
            "name[The Mill], food[Thai]\tThe Mill serves Thai."
        ));
        assert!(!is("t.txt", "A text [sic]\tof three\tparts") && !is("t.txt", "A text."));
        assert!(!is("t.txt", "Mr. Smith,out of money") && is("t.csv", "Mr. Smith,out of money"));
        assert!(is("t.txt", "Meaning_Representation,System Outputs\na,b"));
    }

    #[test]
    fn mistakes_name_the_line() {
        let error = rows("mr,ref\na,b\nc\n", Side::Reference).expect_err("one column");
        assert_eq!(error, "t.csv line 3: 1 columns where the first row has 2");
        let error = rows("mr,ref\na,b\nc,\"d\ne,f\n", Side::Reference).expect_err("open quote");
        assert!(
            error.starts_with("t.csv line 3: a quotation mark"),
            "{error}"
        );
        let error = rows("x,y,z\n1,2,3\n", Side::Reference).expect_err("unknown columns");
        assert!(error.starts_with("t.csv line 1: cannot tell"), "{error}");
        assert!(
            rows("", Side::Reference)
                .expect_err("empty")
                .contains("empty")
        );
    }
}
