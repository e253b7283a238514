//! The Parquet files of a split, as the Hugging Face hub names them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::DataError;
use crate::source::io;

/// The files of a split in order: one `<stem>.parquet`, or all of `<stem>-00000-of-00002.parquet` and so on, which may
/// have a hash at the end of their names. Other files are passed over.
///
/// # Errors
/// If shards are missing, or the folder holds the split twice.
pub(super) fn find(folder: &Path, stems: &[&str]) -> Result<Vec<PathBuf>, DataError> {
    let mut whole = Vec::new();
    let mut parts: BTreeMap<(usize, usize), Vec<PathBuf>> = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(|source| io(folder, source))? {
        let path = entry.map_err(|source| io(folder, source))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(name) = name.and_then(|name| name.strip_suffix(".parquet")) else {
            continue;
        };
        if !path.is_file() {
            continue;
        }
        if stems.contains(&name) {
            whole.push(path);
        } else if let Some((stem, rest)) = name.split_once('-')
            && stems.contains(&stem)
            && let Some(place) = place(rest)
        {
            parts.entry(place).or_default().push(path);
        }
    }
    let refuse = |message: String| DataError::File {
        path: folder.into(),
        message,
    };
    let total = parts.keys().next().map(|(total, _)| *total);
    let twice = whole.len() + usize::from(total.is_some()) > 1
        || parts.keys().any(|(of, _)| Some(*of) != total)
        || parts.values().any(|files| files.len() > 1);
    if twice {
        let split = stems.join(" or ");
        return Err(refuse(format!(
            "holds the Parquet files of `{split}` more than once; leave one set"
        )));
    }
    if let Some(total) = total
        && let Some(missing) = (0..total).find(|i| !parts.contains_key(&(total, *i)))
    {
        let stem = stems[0];
        return Err(refuse(format!(
            "{stem}-{missing:05}-of-{total:05}.parquet is missing: {} of {total} files are here; get the others",
            parts.len()
        )));
    }
    whole.extend(parts.into_values().flatten());
    Ok(whole)
}

/// `(M, N)` of `NNNNN-of-MMMMM`, with a hash behind it or not.
fn place(rest: &str) -> Option<(usize, usize)> {
    let number = |digits: &str| {
        let plain = digits.len() == 5 && digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse().ok().filter(|_| plain)
    };
    let (first, rest) = rest.split_once("-of-")?;
    let (total, hash) = rest.split_once('-').unwrap_or((rest, ""));
    let (first, total) = (number(first)?, number(total)?);
    let hashed = hash.bytes().all(|b| b.is_ascii_hexdigit());
    (first < total && hashed).then_some((total, first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(names: &[&str]) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        match find(folder.path(), &["train"]) {
            Ok(paths) => Ok(paths.iter().map(name).collect()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn a_split_is_whole_and_read_once() {
        let two = [
            "train-00001-of-00002.parquet",
            "train-00000-of-00002.parquet",
        ];
        assert_eq!(found(&two).unwrap(), [two[1], two[0]]);
        let hashed = "train-00000-of-00001-5a0b8b1e.parquet";
        let others = [
            "train_x.parquet",
            "test.parquet",
            "train-00000-of-00001 (1).parquet",
        ];
        let with = |more: &[&'static str]| [&[hashed], more].concat();
        assert_eq!(found(&with(&others)).unwrap(), [hashed]);
        assert_eq!(found(&["train.parquet"]).unwrap(), ["train.parquet"]);
        assert!(found(&[]).unwrap().is_empty());
        let half = found(&two[..1]).unwrap_err();
        assert!(
            half.contains("train-00000-of-00002.parquet is missing: 1 of 2"),
            "{half}"
        );
        for more in ["train.parquet", two[0], "train-00000-of-00001.parquet"] {
            let error = found(&with(&[more])).unwrap_err();
            assert!(error.contains("more than once"), "{error}");
        }
    }
}
