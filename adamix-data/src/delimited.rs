//! Records of comma- or tab-separated text, quoted as in RFC 4180, with the line each starts on.

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Where it starts, from 1.
    pub(crate) line: usize,
    /// Its cells, one at least.
    pub(crate) fields: Vec<String>,
}

/// A quotation mark that is never closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a quotation mark opens a field here and is never closed")]
pub(crate) struct OpenQuote {
    /// The line it is on, from 1.
    pub(crate) line: usize,
}

/// Splits a text into records; blank lines between them are skipped, a line of two marks is an empty cell. A quotation
/// mark counts only where a field starts.
pub(crate) fn records(text: &str, separator: char) -> Result<Vec<Record>, OpenQuote> {
    let mut records = Vec::new();
    let mut fields: Vec<String> = Vec::new();
    let mut field = String::new();
    let (mut line, mut start, mut opened) = (1, 1, 0);
    let mut quoted = false;
    let mut fresh = true;
    // Whether the record has a quoted cell.
    let mut marked = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if quoted {
            match c {
                '"' if chars.peek() == Some(&'"') => {
                    chars.next();
                    field.push('"');
                }
                '"' => quoted = false,
                _ => {
                    line += usize::from(c == '\n');
                    field.push(c);
                }
            }
            continue;
        }
        match c {
            '"' if fresh => {
                (quoted, marked) = (true, true);
                opened = line;
                fresh = false;
            }
            '\n' | '\r' => {
                if c == '\r' {
                    chars.next_if_eq(&'\n');
                }
                end_record(&mut records, &mut fields, &mut field, start, marked);
                line += 1;
                start = line;
                (fresh, marked) = (true, false);
            }
            c if c == separator => {
                fields.push(std::mem::take(&mut field));
                fresh = true;
            }
            c => {
                field.push(c);
                fresh = false;
            }
        }
    }
    if quoted {
        return Err(OpenQuote { line: opened });
    }
    end_record(&mut records, &mut fields, &mut field, start, marked);
    Ok(records)
}

fn end_record(
    records: &mut Vec<Record>,
    fields: &mut Vec<String>,
    field: &mut String,
    line: usize,
    marked: bool,
) {
    fields.push(std::mem::take(field));
    let fields = std::mem::take(fields);
    if fields.len() > 1 || marked || !fields[0].trim().is_empty() {
        records.push(Record { line, fields });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_field_holds_separators_marks_and_breaks() {
        let found = records("a,\"b, \"\"c\"\"\nd\"\r\n\n5\" x,y", ',').unwrap();
        let record = |line, fields: [&str; 2]| Record {
            line,
            fields: fields.map(str::to_owned).to_vec(),
        };
        assert_eq!(
            found,
            [record(1, ["a", "b, \"c\"\nd"]), record(4, ["5\" x", "y"])]
        );
        assert_eq!(records("a,b\nc,\"d\n", ','), Err(OpenQuote { line: 2 }));
        let lines = records("a,b\rc,d\r\n\r\ne,f\r", ',').unwrap();
        let lines: Vec<usize> = lines.iter().map(|record| record.line).collect();
        assert_eq!(lines, [1, 2, 4]);
        // An empty text of the only column is a row all the same.
        let rows = records("text\n\"\"\n\n \nlast\n", ',').unwrap();
        let rows: Vec<(usize, &str)> = rows
            .iter()
            .map(|r| (r.line, r.fields[0].as_str()))
            .collect();
        assert_eq!(rows, [(1, "text"), (2, ""), (5, "last")]);
    }
}
