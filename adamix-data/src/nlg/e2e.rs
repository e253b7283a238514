//! The E2E data set: the official CSV, and the text lines that LoRA and AdaMix train on.
//!
//! Both hold the same inputs. Their conversion is exact in both directions ([`linearise`],
//! [`meaning_representation`]). The texts of the second layout went through a word tokenizer, which nothing
//! defines; they are taken as they are in either.

use super::Pair;
use crate::delimited::{self, Record};
use crate::error::DataError;
use crate::source::TextFile;
use crate::split::Split;

/// The slots whose name differs between the layouts: in the CSV, and on a line.
const RENAMED: [(&str, &str); 3] = [
    ("eatType", "Type"),
    ("priceRange", "price"),
    ("familyFriendly", "family friendly"),
];

/// The names a split goes by.
pub(super) fn find(names: &[String], split: Split) -> (Vec<String>, String) {
    let known: &[&str] = match split {
        Split::Train => &["trainset.csv", "train.txt"],
        Split::Dev => &["devset.csv", "valid.txt"],
        Split::Test => &["testset_w_refs.csv", "test.txt", "testset.csv"],
        _ => &[],
    };
    let found = known.iter().find(|name| names.iter().any(|n| n == *name));
    (
        found.iter().map(|name| (**name).to_owned()).collect(),
        known.join(", "),
    )
}

/// Pairs of one file, whose name and first line tell the layout.
pub(super) fn parse(file: &TextFile) -> Result<Vec<Pair>, DataError> {
    file.check_lines()?;
    let named = file
        .path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("csv"));
    let header = file.lines().next().is_some_and(|(_, line)| {
        let first = line.split(',').next().unwrap_or_default();
        first.trim_matches('"').eq_ignore_ascii_case("mr")
    });
    if named || header {
        csv(file)
    } else {
        lines(file)
    }
}

/// Columns `mr` and `ref`; without `ref` there are no texts.
fn csv(file: &TextFile) -> Result<Vec<Pair>, DataError> {
    let records = delimited::records(&file.text, ',')
        .map_err(|open| file.row(open.line, open.to_string()))?;
    let mut records = records.into_iter();
    let Some(header) = records.next() else {
        return Ok(Vec::new());
    };
    let place = |name: &str| {
        let named = |field: &String| field.trim().eq_ignore_ascii_case(name);
        header.fields.iter().position(named)
    };
    let source = place("mr").ok_or_else(|| DataError::MissingColumn {
        path: file.path.clone(),
        column: "mr".into(),
        found: header.fields.join(", "),
    })?;
    let target = place("ref");
    let width = header.fields.len();
    let pair = |Record { line, mut fields }: Record| {
        if fields.len() != width {
            let found = fields.len();
            return Err(file.row(line, format!("{found} cells under {width} columns")));
        }
        let context = linearise(&fields[source]).map_err(|e| file.row(line, e))?;
        let text = target.map(|at| std::mem::take(&mut fields[at]));
        if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
            return Err(file.row(line, "the text is empty; remove the row".into()));
        }
        Ok(new_pair(context, text))
    };
    records.map(pair).collect()
}

/// `context||text` a line.
fn lines(file: &TextFile) -> Result<Vec<Pair>, DataError> {
    let pair = |(line, content): (usize, &str)| {
        let Some((context, text)) = content.trim().split_once("||") else {
            return Err(file.row(line, "expected `context||text`, found no `||`".into()));
        };
        if context.is_empty() || text.is_empty() {
            let message = "expected `context||text`, one side is empty; remove the line";
            return Err(file.row(line, message.into()));
        }
        Ok(new_pair(context.to_owned(), Some(text.to_owned())))
    };
    let filled = file.lines().filter(|(_, line)| !line.trim().is_empty());
    filled.map(pair).collect()
}

fn new_pair(context: String, text: Option<String>) -> Pair {
    Pair {
        id: 0,
        context,
        text,
        seen: None,
    }
}

/// A meaning representation of the CSV as the line that LoRA and AdaMix train on:
/// `name[The Mill], priceRange[£20-25]` becomes `name : The Mill | price : £ 20 - 25`.
///
/// # Errors
/// What is wrong with it.
pub fn linearise(meaning: &str) -> Result<String, String> {
    let mut slots = Vec::new();
    let mut rest = meaning.trim();
    loop {
        let slot = rest.split_once('[').and_then(|(name, after)| {
            let (value, after) = after.split_once(']')?;
            Some((name.trim(), value, after.trim_start()))
        });
        let Some((name, value, after)) = slot else {
            return Err(format!(
                "`{meaning}` is not a meaning representation: expected name[value], name[value], ..."
            ));
        };
        let renamed = RENAMED.iter().find(|(csv, _)| *csv == name);
        let name = renamed.map_or(name, |(_, line)| line);
        slots.push(format!("{name} : {}", spaced(value)));
        match after.strip_prefix(',') {
            Some(after) => rest = after.trim_start(),
            None if after.is_empty() => return Ok(slots.join(" | ")),
            None => {
                return Err(format!(
                    "`{meaning}` is not a meaning representation: `{after}` after a value"
                ));
            }
        }
    }
}

/// The meaning representation that [`linearise`] makes this line of.
///
/// # Errors
/// What is wrong with the line.
pub fn meaning_representation(line: &str) -> Result<String, String> {
    let slot = |part: &str| {
        let (name, value) = part
            .split_once(" : ")
            .ok_or_else(|| format!("`{part}` is not `name : value`"))?;
        let renamed = RENAMED.iter().find(|(_, line)| *line == name);
        let name = renamed.map_or(name, |(csv, _)| csv);
        Ok(format!("{name}[{}]", joined(value)))
    };
    let slots: Result<Vec<String>, String> = line.trim().split(" | ").map(slot).collect();
    Ok(slots?.join(", "))
}

/// Spaces around pound signs and between the ends of a range.
fn spaced(value: &str) -> String {
    let chars: Vec<char> = value.trim().chars().collect();
    let digit = |i: Option<usize>| {
        i.and_then(|i| chars.get(i))
            .is_some_and(char::is_ascii_digit)
    };
    let mut text = String::new();
    for (i, c) in chars.iter().enumerate() {
        match c {
            '£' => text.push_str("£ "),
            '-' if digit(i.checked_sub(1)) && digit(Some(i + 1)) => text.push_str(" - "),
            c => text.push(*c),
        }
    }
    text
}

fn joined(value: &str) -> String {
    let text = value.trim().replace("£ ", "£");
    let chars: Vec<char> = text.chars().collect();
    let digit = |i: Option<usize>| {
        i.and_then(|i| chars.get(i))
            .is_some_and(char::is_ascii_digit)
    };
    let mut joined = String::new();
    let mut i = 0;
    while i < chars.len() {
        let range = chars[i..].starts_with(&[' ', '-', ' ']);
        if range && digit(i.checked_sub(1)) && digit(Some(i + 3)) {
            joined.push('-');
            i += 3;
        } else {
            joined.push(chars[i]);
            i += 1;
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_convert_both_ways() {
        for (meaning, line) in [
            (
                "name[The Mill], eatType[pub], priceRange[£20-25], customer rating[5 out of 5], familyFriendly[yes]",
                "name : The Mill | Type : pub | price : £ 20 - 25 | customer rating : 5 out of 5 | family friendly : yes",
            ),
            (
                "name[Zizzi], priceRange[more than £30], near[Café Rouge]",
                "name : Zizzi | price : more than £ 30 | near : Café Rouge",
            ),
        ] {
            assert_eq!(linearise(meaning).unwrap(), line);
            assert_eq!(meaning_representation(line).unwrap(), meaning);
        }
    }

    #[test]
    fn what_is_no_meaning_representation_is_refused() {
        for (meaning, part) in [
            ("", "expected name[value]"),
            ("The Mill", "expected name[value]"),
            ("name[The Mill", "expected name[value]"),
            ("name[The Mill] food[x]", "`food[x]` after a value"),
        ] {
            let error = linearise(meaning).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        assert!(meaning_representation("name = x").is_err());
    }
}
