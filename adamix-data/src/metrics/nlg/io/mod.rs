//! Files of references and outputs.
//!
//! References come as a data set's own file: E2E's CSV or `context||text` lines, WebNLG's XML or JSON, DART's
//! JSON; as blocks of lines separated by blank lines; or as numbered files (`refs0`, `refs1`, …) with one line
//! a segment. A data set's rows with one input are one segment; if there is an output for every entry of the
//! file (in a table: every run of rows with one input), the entries are. Outputs come one a line or as the E2E
//! challenge's table of meaning representation and output.

mod corpus;
mod table;

use super::Kind;
use super::error::ScoreError;
use crate::error::DataError;
use crate::nlg::Part;
use crate::source::{TextFile, read_bytes};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use table::{Row, Side};

/// References and outputs that belong together, segment by segment.
#[derive(Clone, Debug, PartialEq)]
pub struct Texts {
    /// The references of every segment, one at least.
    pub references: Vec<Vec<String>>,
    /// The output of every segment.
    pub outputs: Vec<String>,
    /// Whether training saw the segment's category; known from WebNLG's own files only.
    pub seen: Vec<Option<bool>>,
    /// What the user should know of what is missing.
    pub note: Option<String>,
    /// Whether references may be empty because numbered files are filled up with them.
    padded: bool,
}

impl Texts {
    /// The segments of one part of WebNLG.
    ///
    /// # Errors
    /// If the file of references does not tell the parts apart, or has no segment of this one.
    pub fn part(&mut self, part: Part, path: &Path) -> Result<(), ScoreError> {
        let known = part == Part::All || self.seen.iter().all(Option::is_some);
        let held: Vec<bool> = self.seen.iter().map(|seen| part.holds(*seen)).collect();
        if !known || !held.contains(&true) {
            return Err(ScoreError::Part {
                path: path.to_owned(),
            });
        }
        let mut of = held.iter().cycle();
        let mut next = || *of.next().expect("as many as segments");
        self.references.retain(|_| next());
        self.outputs.retain(|_| next());
        self.seen.retain(|_| next());
        Ok(())
    }

    /// Takes out the empty references with which numbered files are filled up. Those of other files count.
    pub fn drop_padding(&mut self) {
        if !self.padded {
            return;
        }
        for references in &mut self.references {
            if references.iter().any(|text| !text.trim().is_empty()) {
                references.retain(|text| !text.trim().is_empty());
            }
        }
    }
}

/// Reads a file of references and one of outputs as the programs of `kind` do, and matches them up.
///
/// If both carry meaning representations, references follow the outputs' order; else both are taken in
/// their own order and must be equally many.
pub fn read(references: &Path, outputs: &Path, kind: Kind) -> Result<Texts, ScoreError> {
    let Outputs {
        sources,
        mut texts,
        last: last_output,
        open,
    } = read_outputs(outputs, kind)?;
    let named = Named {
        path: outputs,
        sources: sources.as_deref(),
        count: texts.len(),
    };
    let (groups, last_reference, mut note) = read_references(references, &named, kind)?;
    let padded = is_numbered(references);
    if padded && open && texts.len() + 1 == groups.len() {
        texts.push(String::new());
        note = Some(format!(
            "{}: its last output is the empty one behind the last line break",
            outputs.display()
        ));
    }
    if groups.len() != texts.len() {
        return Err(ScoreError::Count {
            references_path: references.to_owned(),
            references: groups.len(),
            outputs_path: outputs.to_owned(),
            outputs: texts.len(),
            line: if texts.len() < groups.len() {
                last_output
            } else {
                last_reference
            },
        });
    }
    if texts.is_empty() {
        return Err(ScoreError::Layout {
            path: outputs.to_owned(),
            line: 1,
            problem: "the file holds no outputs".to_owned(),
        });
    }
    let (groups, seen) = groups.into_iter().unzip();
    Ok(Texts {
        references: groups,
        outputs: texts,
        seen,
        note,
        padded,
    })
}

/// The references of a segment, and whether training saw its category.
type Group = (Vec<String>, Option<bool>);

/// What an output is written for, and the line that says so.
type Source = (String, usize);

/// A file of outputs.
struct Outputs {
    /// The meaning representations, if there are any.
    sources: Option<Vec<Source>>,
    texts: Vec<String>,
    /// The number of the last line.
    last: usize,
    /// Whether one more, empty line may be meant behind the last line break.
    open: bool,
}

/// The outputs, as references are matched with them.
struct Named<'a> {
    path: &'a Path,
    sources: Option<&'a [Source]>,
    count: usize,
}

fn read_outputs(path: &Path, kind: Kind) -> Result<Outputs, ScoreError> {
    let file = read_file(path)?;
    let text = text_of(&file)?;
    let last = text.lines().count().max(1);
    let plain = |texts: Vec<String>, open| Outputs {
        sources: None,
        texts,
        last,
        open,
    };
    if table::is_table(path, &text, Side::Output) {
        let rows = table::parse(path, &text, Side::Output, kind)?;
        let pair = |row: Row| ((row.source, row.line), row.text);
        let (sources, texts) = rows.into_iter().map(pair).unzip();
        return Ok(Outputs {
            sources: Some(sources),
            ..plain(texts, false)
        });
    }
    if path.extension().is_some_and(|e| e == "jsonl") {
        return Ok(plain(generated(path, &text)?, false));
    }
    let texts = text.lines().map(|line| line.trim().to_owned()).collect();
    Ok(plain(texts, text.ends_with('\n')))
}

/// The texts that `adamix generate` writes as one object a line.
fn generated(path: &Path, text: &str) -> Result<Vec<String>, ScoreError> {
    #[derive(serde::Deserialize)]
    struct Line {
        text: String,
    }
    let lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    let parse = |(i, line): (usize, &str)| {
        let line: Line = serde_json::from_str(line).map_err(|error| ScoreError::Layout {
            path: path.to_owned(),
            line: i + 1,
            problem: format!("expected an object with `text`: {error}"),
        })?;
        Ok(line.text.trim().to_owned())
    };
    lines.map(parse).collect()
}

/// Groups of references, the number of the file's last line, and what is missing.
fn read_references(
    path: &Path,
    outputs: &Named<'_>,
    kind: Kind,
) -> Result<(Vec<Group>, usize, Option<String>), ScoreError> {
    let mut note = None;
    let plain = |groups: Vec<Vec<String>>| groups.into_iter().map(|texts| (texts, None)).collect();
    if is_numbered(path) {
        let (groups, last) = read_numbered(path)?;
        return Ok((plain(groups), last, note));
    }
    let file = read_file(path)?;
    let last = file.lines().count().max(1);
    if let Some(corpus) = corpus::of(&file) {
        let rows = corpus::rows(corpus, &file)?;
        let groups = group(path, rows, outputs, &mut note)?;
        return Ok((groups, last, note));
    }
    let text = text_of(&file)?;
    let groups = if table::is_table(path, &text, Side::Reference) {
        let rows = table::parse(path, &text, Side::Reference, kind)?;
        group(path, rows, outputs, &mut note)?
    } else {
        plain(blocks(path, &text, outputs.count)?)
    };
    Ok((groups, last, note))
}

/// Groups rows by what they are written for: in the order of the outputs if they name theirs, else by entries
/// if there are as many, else in the order of first appearance. `note` tells of those without an output, or
/// with several.
fn group(
    path: &Path,
    rows: Vec<Row>,
    outputs: &Named<'_>,
    note: &mut Option<String>,
) -> Result<Vec<Group>, ScoreError> {
    if outputs.sources.is_none() {
        let of_one = |a: &Row, b: &Row| a.entry == b.entry && a.source == b.source;
        let entries: Vec<&[Row]> = rows.chunk_by(of_one).collect();
        if entries.len() == outputs.count {
            let segment = |rows: &[Row]| -> Group {
                let texts = rows.iter().map(|row| row.text.clone()).collect();
                (texts, rows[0].seen)
            };
            return Ok(entries.into_iter().map(segment).collect());
        }
    }
    let mut positions: HashMap<String, usize> = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for row in rows {
        let position = *positions.entry(row.source).or_insert_with(|| {
            groups.push((Vec::new(), row.seen));
            groups.len() - 1
        });
        groups[position].0.push(row.text);
    }
    let Some(sources) = outputs.sources else {
        return Ok(groups);
    };
    let given: HashSet<&String> = sources.iter().map(|(source, _)| source).collect();
    let scored = given.iter().filter(|s| positions.contains_key(**s)).count();
    if scored < groups.len() || given.len() < sources.len() {
        *note = Some(format!(
            "{}: {} outputs for {scored} of {} inputs",
            path.display(),
            sources.len(),
            groups.len()
        ));
    }
    sources
        .iter()
        .map(|(source, line)| match positions.get(source) {
            Some(&position) => Ok(groups[position].clone()),
            None => Err(ScoreError::Layout {
                path: outputs.path.to_owned(),
                line: *line,
                problem: format!(
                    "{} has no reference for the meaning representation {source:?}",
                    path.display()
                ),
            }),
        })
        .collect()
}

/// Blocks of lines separated by one blank line each; without any blank line one reference a line, or, where there is a
/// single output, one block.
fn blocks(path: &Path, text: &str, outputs: usize) -> Result<Vec<Vec<String>>, ScoreError> {
    let lines: Vec<&str> = text.trim_start_matches('\u{feff}').lines().collect();
    let filled = lines.iter().rposition(|line| !line.trim().is_empty());
    let lines = &lines[..filled.map_or(0, |i| i + 1)];
    if lines.is_empty() {
        return Ok(Vec::new());
    }
    if outputs != 1 && lines.iter().all(|line| !line.trim().is_empty()) {
        let single = |line: &&str| vec![line.trim().to_owned()];
        return Ok(lines.iter().map(single).collect());
    }
    let mut groups = vec![Vec::new()];
    for (i, line) in lines.iter().enumerate() {
        let line = line.trim();
        if !line.is_empty() {
            groups
                .last_mut()
                .expect("never empty")
                .push(line.to_owned());
        } else if groups.last().is_some_and(Vec::is_empty) {
            return Err(ScoreError::Layout {
                path: path.to_owned(),
                line: i + 1,
                problem: "a blank line where a reference should start: \
                          exactly one blank line separates the references of two segments"
                    .to_owned(),
            });
        } else {
            groups.push(Vec::new());
        }
    }
    Ok(groups)
}

fn is_numbered(path: &Path) -> bool {
    !path.exists() && numbered(path, 0).exists()
}

fn numbered(path: &Path, number: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(number.to_string());
    PathBuf::from(name)
}

/// `path0`, `path1`, …: one line a segment in each; empty lines stand for missing references, one of them
/// behind the last line break if the first file has a line there.
fn read_numbered(path: &Path) -> Result<(Vec<Vec<String>>, usize), ScoreError> {
    let mut groups: Vec<Vec<String>> = Vec::new();
    let mut first = 0;
    for number in 0.. {
        let path = numbered(path, number);
        if !path.exists() {
            break;
        }
        let file = read_file(&path)?;
        let text = text_of(&file)?;
        let mut lines: Vec<&str> = text.lines().collect();
        if lines.len() + 1 == first && text.ends_with('\n') {
            lines.push("");
        }
        if number == 0 {
            first = lines.len();
            groups = vec![Vec::new(); lines.len()];
        } else if lines.len() != first {
            return Err(ScoreError::Layout {
                path,
                line: lines.len().max(1),
                problem: format!("the file ends here, but the first one has {first} lines"),
            });
        }
        for (group, line) in groups.iter_mut().zip(lines) {
            group.push(line.to_owned());
        }
    }
    for (i, group) in groups.iter().enumerate() {
        if group.iter().all(|line| line.trim().is_empty()) {
            return Err(ScoreError::Layout {
                path: numbered(path, 0),
                line: i + 1,
                problem: "none of the numbered files has a reference on this line".to_owned(),
            });
        }
    }
    Ok((groups, first.max(1)))
}

/// Reads a whole file as UTF-8, once: it may be a pipe.
fn read_file(path: &Path) -> Result<TextFile, ScoreError> {
    let (bytes, hash) = read_bytes(path).map_err(|error| match error {
        DataError::Io { path, source } => ScoreError::Read { path, source },
        other => ScoreError::Data(other),
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line_start = valid.iter().rposition(|&b| b == b'\n').map_or(0, |i| i + 1);
        ScoreError::Utf8 {
            path: path.to_owned(),
            line: valid.iter().filter(|&&b| b == b'\n').count() + 1,
            column: valid.len() - line_start + 1,
        }
    })?;
    let text = match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    };
    Ok(TextFile {
        path: path.to_owned(),
        text,
        hash,
    })
}

/// The text of a file whose lines are its rows. A lone carriage return ends a line too, as in Python.
fn text_of(file: &TextFile) -> Result<Cow<'_, str>, ScoreError> {
    file.check_lines()?;
    if !file.text.contains('\r') {
        return Ok(Cow::Borrowed(file.text.as_str()));
    }
    let text = file.text.replace("\r\n", "\n").replace('\r', "\n");
    Ok(Cow::Owned(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_separated_by_single_blank_lines() {
        let path = Path::new("r.txt");
        let groups = blocks(path, "a\nb\n\nc\n\n\n", 2).expect("two blocks");
        assert_eq!(groups, [vec!["a", "b"], vec!["c"]]);
        assert_eq!(blocks(path, "a\nb", 2).expect("two lines").len(), 2);
        assert_eq!(blocks(path, "a\nb", 1).expect("a block"), [["a", "b"]]);
        assert!(blocks(path, "\n", 1).expect("nothing").is_empty());
        let error = blocks(path, "a\n\n\nb", 2).expect_err("a hole");
        assert!(error.to_string().starts_with("r.txt line 3:"), "{error}");
    }
}
