//! References in a data set's own layout.

use super::super::error::ScoreError;
use super::table::Row;
use crate::nlg::{Corpus, Pair, e2e};
use crate::source::TextFile;

/// The data set whose layout a file has, by its name and contents. E2E's CSV is a table.
pub(super) fn of(file: &TextFile) -> Option<Corpus> {
    let extension = file
        .path
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "xml" => Some(Corpus::Webnlg),
        "json" if file.text.trim_start().starts_with('[') => Some(Corpus::Dart),
        "json" => Some(Corpus::Webnlg),
        _ => {
            let mut lines = file
                .lines()
                .map(|(_, line)| line)
                .filter(|line| !line.trim().is_empty())
                .peekable();
            let some = lines.peek().is_some();
            (some && lines.all(is_pair)).then_some(Corpus::E2e)
        }
    }
}

/// Whether a line is a meaning representation and its text: other texts may hold `||`, too.
fn is_pair(line: &str) -> bool {
    let meaning = line.split_once("||").map(|(meaning, _)| meaning);
    meaning.is_some_and(|meaning| e2e::meaning_representation(meaning).is_ok())
}

/// Every text with what it is written for: E2E's inputs as the challenge's outputs name them.
pub(super) fn rows(corpus: Corpus, file: &TextFile) -> Result<Vec<Row>, ScoreError> {
    let row = |entry: usize, pair: Pair| {
        let source = match corpus {
            Corpus::E2e => e2e::meaning_representation(&pair.context).unwrap_or(pair.context),
            Corpus::Webnlg | Corpus::Dart => pair.context,
        };
        Some(Row {
            source,
            text: pair.text?,
            line: 1,
            seen: pair.seen,
            entry,
        })
    };
    let mut rows = Vec::new();
    for (entry, pairs) in corpus.parse(file)?.into_iter().enumerate() {
        rows.extend(pairs.into_iter().filter_map(|pair| row(entry, pair)));
    }
    Ok(rows)
}
