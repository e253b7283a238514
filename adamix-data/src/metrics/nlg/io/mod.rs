//! Files of references and outputs.
//!
//! References come as a data set's own file (rows with one input are one segment): E2E's CSV or
//! `context||text` lines, WebNLG's XML or JSON, DART's JSON; as blocks of lines separated by blank lines; or
//! as numbered files (`refs0`, `refs1`, …) with one line a segment. Outputs come one a line or as the E2E challenge's table of meaning representation and output.

mod corpus;
mod table;

use super::error::ScoreError;
use crate::nlg::Part;
use std::collections::{HashMap, HashSet};
use std::fs;
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

/// Reads a file of references and one of outputs, and matches them up.
///
/// If both carry meaning representations, references follow the outputs' order; else both are taken in
/// their own order and must be equally many.
pub fn read(references: &Path, outputs: &Path) -> Result<Texts, ScoreError> {
    let (sources, texts, last_output) = read_outputs(outputs)?;
    let named = Named {
        path: outputs,
        sources: sources.as_deref(),
        count: texts.len(),
    };
    let (groups, last_reference, note) = read_references(references, &named)?;
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
        padded: is_numbered(references),
    })
}

/// The references of a segment, and whether training saw its category.
type Group = (Vec<String>, Option<bool>);

/// What an output is written for, and the line that says so.
type Source = (String, usize);

type Outputs = (Option<Vec<Source>>, Vec<String>, usize);

/// The outputs, as references are matched with them.
struct Named<'a> {
    path: &'a Path,
    sources: Option<&'a [Source]>,
    count: usize,
}

/// The meaning representations if there are any, the outputs, and the number of the last line.
fn read_outputs(path: &Path) -> Result<Outputs, ScoreError> {
    let text = read_text(path)?;
    let last = text.lines().count().max(1);
    if table::is_table(path, &text, Side::Output) {
        let rows = table::parse(path, &text, Side::Output)?;
        let pair = |row: Row| ((row.source, row.line), row.text);
        let (sources, outputs) = rows.into_iter().map(pair).unzip();
        return Ok((Some(sources), outputs, last));
    }
    if path.extension().is_some_and(|e| e == "jsonl") {
        return Ok((None, generated(path, &text)?, last));
    }
    let outputs = text.lines().map(|line| line.trim().to_owned()).collect();
    Ok((None, outputs, last))
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
) -> Result<(Vec<Group>, usize, Option<String>), ScoreError> {
    let mut note = None;
    let plain = |groups: Vec<Vec<String>>| groups.into_iter().map(|texts| (texts, None)).collect();
    if is_numbered(path) {
        let (groups, last) = read_numbered(path)?;
        return Ok((plain(groups), last, note));
    }
    let text = read_text(path)?;
    let last = text.lines().count().max(1);
    let groups = if let Some(corpus) = corpus::of(path, &text) {
        group(path, corpus::rows(corpus, path)?, outputs, &mut note)?
    } else if table::is_table(path, &text, Side::Reference) {
        let rows = table::parse(path, &text, Side::Reference)?;
        group(path, rows, outputs, &mut note)?
    } else {
        plain(blocks(path, &text, outputs.count)?)
    };
    Ok((groups, last, note))
}

/// Groups rows by what they are written for: in the order of the outputs if they name theirs, else in the
/// order of first appearance. `note` tells of those without an output, or with several.
fn group(
    path: &Path,
    rows: Vec<Row>,
    outputs: &Named<'_>,
    note: &mut Option<String>,
) -> Result<Vec<Group>, ScoreError> {
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

/// `path0`, `path1`, …: one line a segment in each; empty lines stand for missing references.
fn read_numbered(path: &Path) -> Result<(Vec<Vec<String>>, usize), ScoreError> {
    let mut groups: Vec<Vec<String>> = Vec::new();
    let mut first = 0;
    for number in 0.. {
        let path = numbered(path, number);
        if !path.exists() {
            break;
        }
        let text = read_text(&path)?;
        let lines: Vec<&str> = text.lines().collect();
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

/// Reads a whole file as UTF-8. A lone carriage return ends a line too, as in Python.
pub(crate) fn read_text(path: &Path) -> Result<String, ScoreError> {
    let bytes = fs::read(path).map_err(|source| ScoreError::Read {
        path: path.to_owned(),
        source,
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
    if !text.contains('\r') {
        return Ok(text);
    }
    Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
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
