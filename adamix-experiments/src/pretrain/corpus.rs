//! Text files to rows of tokens of one length.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::vocabulary::Framing;

/// The files of the given paths: a file as it is, a folder's `.md` and `.txt` files in the order of their names.
///
/// # Errors
/// If a path does not exist or a folder has no such file.
pub(super) fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            ensure!(path.is_file(), "{}: no such file or folder", path.display());
            files.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path).with_context(|| path.display().to_string())?;
        let mut inside = Vec::new();
        for entry in entries {
            let file = entry.with_context(|| path.display().to_string())?.path();
            let is_text = file.extension().is_some_and(|e| e == "md" || e == "txt");
            if is_text && file.is_file() {
                inside.push(file);
            }
        }
        ensure!(
            !inside.is_empty(),
            "{}: no .md or .txt file in this folder",
            path.display()
        );
        inside.sort();
        files.append(&mut inside);
    }
    Ok(files)
}

/// The paragraphs of a file: what stands between blank lines, its lines joined, Markdown's marks taken off.
///
/// # Errors
/// If it cannot be read or is not UTF-8.
pub(super) fn paragraphs(path: &Path) -> Result<Vec<String>> {
    let text = adamix_data::read_text(path)?;
    let markdown = path.extension().is_some_and(|e| e == "md");
    let mut paragraphs = vec![String::new()];
    for line in text.lines() {
        let marks: &[char] = if markdown { &['*', '_'] } else { &[] };
        let line = line.replace(marks, "");
        let line = if markdown {
            line.trim().trim_start_matches(['#', '>'])
        } else {
            &line
        };
        if !line.chars().any(char::is_alphanumeric) {
            // A blank line or a rule.
            paragraphs.push(String::new());
            continue;
        }
        let current = paragraphs.last_mut().expect("never empty");
        for word in line.split_whitespace() {
            if !current.is_empty() {
                current.push(' ');
            }
            current.push_str(word);
        }
    }
    paragraphs.retain(|p| !p.is_empty());
    Ok(paragraphs)
}

/// Rows of one length, end to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rows {
    tokens: usize,
    ids: Vec<u32>,
}

impl Rows {
    /// Packs files, each a list of paragraphs' ids, into rows of `tokens` ids without padding. What does not
    /// fill a last row is left out.
    pub(super) fn pack(files: &[Vec<Vec<u32>>], tokens: usize, framing: &Framing) -> Self {
        let mut ids = Vec::new();
        let last = tokens - usize::from(framing.close.is_some());
        let mut push = |id| {
            if ids.len() % tokens == 0 {
                ids.extend(framing.open);
            }
            ids.push(id);
            if ids.len() % tokens == last % tokens {
                ids.extend(framing.close);
            }
        };
        for (file, paragraphs) in files.iter().enumerate() {
            for (i, paragraph) in paragraphs.iter().enumerate() {
                let between = match (file, i) {
                    (0, 0) => &[],
                    (_, 0) => &framing.between_files[..],
                    _ => &framing.between_paragraphs[..],
                };
                between.iter().chain(paragraph).for_each(|id| push(*id));
            }
        }
        ids.truncate(ids.len() / tokens * tokens);
        Self { tokens, ids }
    }

    /// The length of a row.
    pub(super) fn tokens(&self) -> usize {
        self.tokens
    }

    /// The number of rows.
    pub(super) fn len(&self) -> usize {
        self.ids.len() / self.tokens
    }

    /// The ids of a row.
    pub(super) fn row(&self, index: u32) -> &[u32] {
        let start = index as usize * self.tokens;
        &self.ids[start..start + self.tokens]
    }

    /// The rows to train on, and `held_out` others, evenly spread.
    ///
    /// # Errors
    /// If there are too few rows for that.
    pub(super) fn split(&self, held_out: usize) -> Result<(Vec<u32>, Vec<u32>)> {
        let rows = self.len();
        ensure!(
            rows > held_out,
            "the corpus fills {rows} rows of {} tokens; that is too few to hold out {held_out}",
            self.tokens
        );
        let stride = rows / held_out;
        let is_held_out =
            |row: &u32| *row as usize % stride == stride - 1 && (*row as usize / stride) < held_out;
        // With fewer than two rows a stride nothing would be left.
        if stride == 1 {
            let first = (rows - held_out) as u32;
            return Ok(((0..first).collect(), (first..rows as u32).collect()));
        }
        Ok((0..rows as u32).partition(|row| !is_held_out(row)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn roberta() -> Framing {
        Framing {
            open: Some(0),
            close: Some(2),
            between_paragraphs: vec![2, 2],
            between_files: vec![2, 2],
        }
    }

    fn gpt2() -> Framing {
        Framing {
            between_paragraphs: vec![3, 3],
            between_files: vec![1],
            ..Framing::default()
        }
    }

    #[test]
    fn a_row_opens_closes_and_separates() {
        let files = [
            vec![vec![10, 11], vec![12]],
            vec![vec![13, 14, 15, 16], vec![17]],
        ];
        let rows = Rows::pack(&files, 5, &roberta());
        assert_eq!(rows.len(), 4);
        assert_eq!(rows.row(0), [0, 10, 11, 2, 2]);
        assert_eq!(rows.row(1), [0, 2, 12, 2, 2]);
        assert_eq!(rows.row(2), [0, 2, 13, 14, 2]);
        let rows = Rows::pack(&files, 5, &gpt2());
        assert_eq!(rows.len(), 2);
        assert_eq!(rows.row(0), [10, 11, 3, 3, 12]);
        assert_eq!(rows.row(1), [1, 13, 14, 15, 16]);
    }

    proptest! {
        #[test]
        fn rows_hold_the_files_in_order(
            files in prop::collection::vec(prop::collection::vec(1usize..30, 1..6), 0..6),
            tokens in 3usize..20,
        ) {
            let mut next = 10u32;
            let mut fill = |length: usize| {
                next += length as u32;
                (next - length as u32..next).collect::<Vec<u32>>()
            };
            let files: Vec<Vec<Vec<u32>>> = files
                .iter()
                .map(|lengths| lengths.iter().map(|length| fill(*length)).collect())
                .collect();
            for framing in [roberta(), gpt2()] {
                let rows = Rows::pack(&files, tokens, &framing);
                let mut text = Vec::new();
                for i in 0..rows.len() {
                    let row = rows.row(i as u32);
                    if let (Some(open), Some(close)) = (framing.open, framing.close) {
                        prop_assert_eq!((row[0], row[tokens - 1]), (open, close));
                    }
                    text.extend(row.iter().copied().filter(|id| *id >= 10));
                }
                let all: Vec<u32> = (10..next).collect();
                prop_assert!(all.starts_with(&text));
                let lost = all.len() - text.len();
                prop_assert!(lost < tokens, "{} of {}", lost, all.len());
            }
        }

        #[test]
        fn a_split_has_every_row_once(rows in 2usize..300, share in 1usize..100) {
            let held_out = (rows * share / 100).max(1).min(rows - 1);
            let packed = Rows { tokens: 1, ids: vec![7; rows] };
            let (train, held) = packed.split(held_out).unwrap();
            prop_assert_eq!(held.len(), held_out);
            let mut all = [train, held].concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..rows as u32).collect::<Vec<_>>());
        }
    }

    #[test]
    fn paragraphs_lose_marks_and_keep_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.md");
        let text =
            "\u{feff}# Title\n\n-------\n\nOne _long_\r\n> line.\n\n\n**Two**.\n* * *\nThree.";
        std::fs::write(&path, text).unwrap();
        assert_eq!(
            paragraphs(&path).unwrap(),
            ["Title", "One long line.", "Two.", "Three."]
        );
        let plain = folder.path().join("a.txt");
        std::fs::write(&plain, "snake_case * 2\n\n# kept").unwrap();
        assert_eq!(paragraphs(&plain).unwrap(), ["snake_case * 2", "# kept"]);
    }

    #[test]
    fn files_come_by_name_and_others_do_not() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.md", "a.txt", "c.bin", "B.txt"] {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        let found = files(&[folder.path().to_owned()]).unwrap();
        let names: Vec<_> = found.iter().map(|p| p.file_name().unwrap()).collect();
        assert_eq!(names, ["B.txt", "a.txt", "b.md"]);
        let absent = folder.path().join("absent");
        let error = files(&[absent]).unwrap_err().to_string();
        assert!(error.contains("absent: no such file"), "{error}");
    }
}
