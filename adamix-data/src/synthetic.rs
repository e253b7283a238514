//! A small labelled task made up by this project, for a machine with no data at hand.
//!
//! Every sentence is generated from the grammar below; no text is taken from anywhere. The label says whether
//! the person the sentence is *about* was in a good mood, which takes three things together: which clause
//! counts (`although A , B` and `A but B` are about B; `A although B` is about A), the polarity of that
//! clause's adjective, and whether it is negated. Each word alone says little: adjectives of either polarity,
//! negations and connectives are spread alike over both labels or nearly so, and the clause that does not count
//! is filled independently of the label.
//!
//! On 4,000 training and 2,000 other sentences, scikit-learn's logistic regression reaches 0.63 on single words
//! (the best of six regularisations), 0.82 on words and word pairs, and a random forest on single words 0.69;
//! the rule above reaches 1.
//!
//! It shows that training works. Its scores say nothing about natural language.

use adamix_keys::{Key, Stream};

use crate::example::{Example, Target};
use crate::metrics::Metric;
use crate::split::Split;
use crate::task::{Columns, Task};

/// Share of clauses with a negation, in percent. Below one half, so that small models have a slope to start on.
const NEGATED: usize = 30;

/// Share of sentences with two clauses, in percent.
const TWO_CLAUSES: usize = 65;

const AGES: [&str; 12] = [
    "old", "young", "tall", "quiet", "busy", "local", "new", "retired", "famous", "foreign",
    "small", "strong",
];

const PEOPLE: [&str; 40] = [
    "captain",
    "teacher",
    "farmer",
    "doctor",
    "sailor",
    "baker",
    "writer",
    "painter",
    "driver",
    "nurse",
    "miller",
    "judge",
    "soldier",
    "singer",
    "gardener",
    "cook",
    "student",
    "lawyer",
    "mayor",
    "priest",
    "actor",
    "banker",
    "builder",
    "clerk",
    "dancer",
    "editor",
    "fisherman",
    "guard",
    "hunter",
    "innkeeper",
    "king",
    "librarian",
    "merchant",
    "neighbour",
    "officer",
    "poet",
    "queen",
    "shepherd",
    "tailor",
    "weaver",
];

const GOOD: [&str; 24] = [
    "happy",
    "pleased",
    "glad",
    "delighted",
    "satisfied",
    "content",
    "cheerful",
    "proud",
    "grateful",
    "thrilled",
    "amused",
    "relaxed",
    "hopeful",
    "comfortable",
    "excited",
    "impressed",
    "thankful",
    "merry",
    "joyful",
    "calm",
    "confident",
    "relieved",
    "charmed",
    "enthusiastic",
];

const BAD: [&str; 24] = [
    "sad",
    "angry",
    "upset",
    "disappointed",
    "annoyed",
    "worried",
    "bored",
    "unhappy",
    "miserable",
    "furious",
    "afraid",
    "ashamed",
    "bitter",
    "gloomy",
    "nervous",
    "tired",
    "jealous",
    "lonely",
    "troubled",
    "anxious",
    "irritated",
    "frightened",
    "disgusted",
    "desperate",
];

const PLAIN: [&str; 8] = ["", "", "", "very", "quite", "really", "rather", "truly"];

const NEGATIONS: [&str; 5] = ["not", "never", "hardly", "no longer", "not at all"];

const CAUSES: [&str; 48] = [
    "storm", "letter", "harvest", "journey", "dinner", "weather", "book", "song", "house",
    "garden", "horse", "market", "ship", "village", "river", "road", "meeting", "news", "speech",
    "picture", "play", "lesson", "bread", "wine", "bridge", "school", "church", "train", "winter",
    "summer", "party", "wedding", "game", "race", "trial", "answer", "question", "price", "coat",
    "hat", "boat", "island", "forest", "mountain", "castle", "window", "kitchen", "clock",
];

const TIMES: [&str; 12] = [
    "yesterday",
    "that morning",
    "that evening",
    "last week",
    "in spring",
    "in autumn",
    "on monday",
    "on sunday",
    "at noon",
    "before lunch",
    "after the war",
    "for a while",
];

/// The task the examples belong to: two labels over single sentences, scored by accuracy.
pub fn task() -> Task {
    Task {
        name: "synthetic".into(),
        labels: vec!["negative".into(), "positive".into()],
        metrics: vec![Metric::Accuracy, Metric::F1],
        selection: Metric::Accuracy,
        columns: Columns::new("sentence", None, "label"),
        folders: Vec::new(),
        dev_splits: vec![Split::Dev],
    }
}

/// `n` labelled sentences, a pure function of the key.
///
/// Labels are balanced: the examples `2k` and `2k + 1` have one of each. The first `m` of `n` examples are those of
/// `generate(key, m)`. Give each split its own key, such as `key.purpose("train")`.
pub fn generate(key: Key, n: usize) -> Vec<Example> {
    (0..n)
        .map(|i| {
            let flip = key.purpose("label").fold(i as u64 / 2).below(2);
            let label = (i + flip) % 2;
            Example {
                id: i as u32,
                first: sentence(key.purpose("sentence").fold(i as u64), label == 1),
                second: None,
                target: Target::Class(label as u32),
            }
        })
        .collect()
}

/// A sentence about somebody who was in a good mood, or was not.
fn sentence(key: Key, good: bool) -> String {
    let mut draw = key.stream();
    let main = clause(&mut draw, good);
    if draw.below(100) >= TWO_CLAUSES {
        return format!("{main} .");
    }
    let other_mood = draw.below(2) == 1;
    let other = clause(&mut draw, other_mood);
    match draw.below(3) {
        0 => format!("although {other} , {main} ."),
        1 => format!("{other} but {main} ."),
        _ => format!("{main} although {other} ."),
    }
}

/// "the old captain was not happy with the storm yesterday": its mood after negation is `good`.
fn clause(draw: &mut Stream, good: bool) -> String {
    let negated = draw.below(100) < NEGATED;
    let adjectives = if good != negated { &GOOD } else { &BAD };
    let manner = if negated {
        pick(draw, &NEGATIONS)
    } else {
        pick(draw, &PLAIN)
    };
    let mut words = vec!["the"];
    if draw.below(2) == 0 {
        words.push(pick(draw, &AGES));
    }
    words.extend([pick(draw, &PEOPLE), "was", manner, pick(draw, adjectives)]);
    match draw.below(3) {
        0 => words.extend(["with the", pick(draw, &CAUSES)]),
        1 => words.extend(["about the", pick(draw, &CAUSES)]),
        _ => {}
    }
    if draw.below(3) == 0 {
        words.push(pick(draw, &TIMES));
    }
    words.retain(|word| !word.is_empty());
    words.join(" ")
}

fn pick<'a>(draw: &mut Stream, words: &[&'a str]) -> &'a str {
    words[draw.below(words.len())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn it_is_a_balanced_function_of_the_key() {
        let key = Key::new(1);
        let rows = generate(key, 1001);
        assert_eq!(rows[..100], generate(key, 100));
        assert_ne!(rows, generate(Key::new(2), 1001));
        let positive =
            |rows: &[Example]| rows.iter().filter(|e| e.target == Target::Class(1)).count();
        assert_eq!(positive(&rows[..1000]), 500);
        let distinct: BTreeSet<&str> = rows.iter().map(|e| e.first.as_str()).collect();
        assert!(distinct.len() > 995, "{}", distinct.len());
    }

    #[test]
    fn the_words_are_few_hundred_and_none_gives_the_label_away() {
        let rows = generate(Key::new(3), 20_000);
        let mut counts: BTreeMap<&str, [f64; 2]> = BTreeMap::new();
        for row in &rows {
            let words: BTreeSet<&str> = row.first.split(' ').collect();
            for word in words {
                counts.entry(word).or_default()[row.target.class().unwrap() as usize] += 1.0;
            }
        }
        assert!((150..300).contains(&counts.len()), "{}", counts.len());
        for (word, [negative, positive]) in counts {
            let share = positive / (negative + positive);
            assert!((0.3..0.7).contains(&share), "{word}: {share}");
        }
    }

    /// The label as a reader of the sentence would give it, without the generator's knowledge.
    fn read(sentence: &str) -> u32 {
        let main = match sentence.strip_prefix("although ") {
            Some(rest) => rest.split_once(" , ").unwrap().1,
            None => match sentence.split_once(" but ") {
                Some((_, main)) => main,
                None => sentence.split(" although ").next().unwrap(),
            },
        };
        let padded = format!(" {main} ");
        let has = |words: &[&str]| words.iter().any(|w| padded.contains(&format!(" {w} ")));
        u32::from(has(&GOOD) != has(&NEGATIONS))
    }

    #[test]
    fn a_reader_of_the_whole_sentence_is_always_right() {
        for row in generate(Key::new(4), 5000) {
            assert_eq!(Target::Class(read(&row.first)), row.target, "{}", row.first);
        }
    }
}
