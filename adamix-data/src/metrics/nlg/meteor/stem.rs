//! The Snowball stemmer for English ("Porter 2") in the version METEOR 1.5 uses.

/// Words with a stem of their own.
const EXCEPTIONS: [(&str, &str); 18] = [
    ("skis", "ski"),
    ("skies", "sky"),
    ("dying", "die"),
    ("lying", "lie"),
    ("tying", "tie"),
    ("idly", "idl"),
    ("gently", "gentl"),
    ("ugly", "ugli"),
    ("early", "earli"),
    ("only", "onli"),
    ("singly", "singl"),
    ("sky", "sky"),
    ("news", "news"),
    ("howe", "howe"),
    ("atlas", "atlas"),
    ("cosmos", "cosmos"),
    ("bias", "bias"),
    ("andes", "andes"),
];

/// Words that are complete once a plural is taken off.
const COMPLETE: [&str; 8] = [
    "inning", "outing", "canning", "herring", "earring", "proceed", "exceed", "succeed",
];

/// Prefixes after which the first region starts at once.
const PREFIXES: [&str; 3] = ["gener", "commun", "arsen"];

/// Suffixes of the second step with their replacements; longer ones before their endings.
const STEP_2: [(&str, &str); 24] = [
    ("ization", "ize"),
    ("ational", "ate"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("iveness", "ive"),
    ("tional", "tion"),
    ("biliti", "ble"),
    ("lessli", "less"),
    ("entli", "ent"),
    ("ation", "ate"),
    ("alism", "al"),
    ("aliti", "al"),
    ("ousli", "ous"),
    ("iviti", "ive"),
    ("fulli", "ful"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("abli", "able"),
    ("izer", "ize"),
    ("ator", "ate"),
    ("alli", "al"),
    ("bli", "ble"),
    ("ogi", "og"),
    ("li", ""),
];

const STEP_3: [(&str, &str); 9] = [
    ("ational", "ate"),
    ("tional", "tion"),
    ("alize", "al"),
    ("icate", "ic"),
    ("iciti", "ic"),
    ("ative", ""),
    ("ical", "ic"),
    ("ness", ""),
    ("ful", ""),
];

const STEP_4: [&str; 18] = [
    "ement", "ance", "ence", "able", "ible", "ment", "ant", "ent", "ism", "ate", "iti", "ous",
    "ive", "ize", "ion", "al", "er", "ic",
];

/// The stem of a lower-case word.
pub(super) fn stem(word: &str) -> String {
    if let Some((_, stem)) = EXCEPTIONS.iter().find(|(w, _)| *w == word) {
        return (*stem).to_owned();
    }
    let mut chars: Vec<char> = word.chars().collect();
    if chars.len() < 3 {
        return word.to_owned();
    }
    if chars[0] == '\'' {
        chars.remove(0);
    }
    // A y that is a consonant is written Y until the end.
    for i in 0..chars.len() {
        if chars[i] == 'y' && (i == 0 || is_vowel(chars[i - 1])) {
            chars[i] = 'Y';
        }
    }
    let mut word = Word::new(chars);
    word.step_1a();
    let text: String = word.chars.iter().collect();
    if !COMPLETE.contains(&text.as_str()) {
        word.step_1b();
        word.step_1c();
        word.step_2();
        word.step_3();
        word.step_4();
        word.step_5();
    }
    let plain = |c| if c == 'Y' { 'y' } else { c };
    word.chars.into_iter().map(plain).collect()
}

fn is_vowel(c: char) -> bool {
    matches!(c, 'a' | 'e' | 'i' | 'o' | 'u' | 'y')
}

struct Word {
    chars: Vec<char>,
    /// Where the regions after the first and second syllable start.
    regions: [usize; 2],
}

impl Word {
    fn new(chars: Vec<char>) -> Self {
        let after_syllable = |from: usize| {
            let vowel = (from..chars.len()).find(|&i| is_vowel(chars[i]));
            let consonant = vowel.and_then(|v| (v + 1..chars.len()).find(|&i| !is_vowel(chars[i])));
            consonant.map_or(chars.len(), |i| i + 1)
        };
        let prefix = PREFIXES
            .iter()
            .find(|p| p.chars().eq(chars.iter().take(p.len()).copied()));
        let first = prefix.map_or_else(|| after_syllable(0), |p| p.len());
        let regions = [first, after_syllable(first)];
        Self { chars, regions }
    }

    fn ends(&self, suffix: &str) -> bool {
        let length = suffix.len();
        self.chars.len() >= length
            && suffix
                .chars()
                .eq(self.chars[self.chars.len() - length..].iter().copied())
    }

    /// The number of characters before a suffix.
    fn before(&self, suffix: &str) -> usize {
        self.chars.len() - suffix.len()
    }

    fn replace(&mut self, suffix: &str, with: &str) {
        self.chars.truncate(self.before(suffix));
        self.chars.extend(with.chars());
    }

    fn has_vowel(&self, end: usize) -> bool {
        self.chars[..end].iter().any(|&c| is_vowel(c))
    }

    /// Whether the first `end` characters end in a short syllable.
    fn is_short(&self, end: usize) -> bool {
        let at = |back: usize| self.chars[end - back];
        match end {
            0 | 1 => false,
            2 => !is_vowel(at(1)) && is_vowel(at(2)),
            _ => {
                !is_vowel(at(1))
                    && !matches!(at(1), 'w' | 'x' | 'Y')
                    && is_vowel(at(2))
                    && !is_vowel(at(3))
            }
        }
    }

    fn step_1a(&mut self) {
        if let Some(suffix) = ["'s'", "'s", "'"].into_iter().find(|s| self.ends(s)) {
            self.replace(suffix, "");
        }
        if self.ends("sses") {
            self.replace("sses", "ss");
        } else if self.ends("ied") || self.ends("ies") {
            let short = self.chars.len() < 5;
            self.replace("ies", if short { "ie" } else { "i" });
        } else if self.ends("us") || self.ends("ss") {
        } else if self.ends("s") && self.chars.len() >= 2 && self.has_vowel(self.chars.len() - 2) {
            self.replace("s", "");
        }
    }

    fn step_1b(&mut self) {
        if let Some(suffix) = ["eedly", "eed"].into_iter().find(|s| self.ends(s)) {
            if self.before(suffix) >= self.regions[0] {
                self.replace(suffix, "ee");
            }
            return;
        }
        let suffixes = ["ingly", "edly", "ing", "ed"];
        let Some(suffix) = suffixes.into_iter().find(|s| self.ends(s)) else {
            return;
        };
        if !self.has_vowel(self.before(suffix)) {
            return;
        }
        self.replace(suffix, "");
        let doubles = ["bb", "dd", "ff", "gg", "mm", "nn", "pp", "rr", "tt"];
        if self.ends("at") || self.ends("bl") || self.ends("iz") {
            self.chars.push('e');
        } else if doubles.into_iter().any(|d| self.ends(d)) {
            self.chars.pop();
        } else if self.chars.len() == self.regions[0] && self.is_short(self.chars.len()) {
            self.chars.push('e');
        }
    }

    fn step_1c(&mut self) {
        let n = self.chars.len();
        if n > 2 && matches!(self.chars[n - 1], 'y' | 'Y') && !is_vowel(self.chars[n - 2]) {
            self.chars[n - 1] = 'i';
        }
    }

    fn step_2(&mut self) {
        let Some((suffix, with)) = STEP_2.into_iter().find(|(s, _)| self.ends(s)) else {
            return;
        };
        let before = self.before(suffix);
        if before < self.regions[0] {
            return;
        }
        let previous = before.checked_sub(1).map(|i| self.chars[i]);
        let allowed = match suffix {
            "ogi" => previous == Some('l'),
            "li" => previous.is_some_and(|c| "cdeghkmnrt".contains(c)),
            _ => true,
        };
        if allowed {
            self.replace(suffix, with);
        }
    }

    fn step_3(&mut self) {
        let Some((suffix, with)) = STEP_3.into_iter().find(|(s, _)| self.ends(s)) else {
            return;
        };
        let region = self.regions[usize::from(suffix == "ative")];
        if self.before(suffix) >= self.regions[0] && self.before(suffix) >= region {
            self.replace(suffix, with);
        }
    }

    fn step_4(&mut self) {
        let Some(suffix) = STEP_4.into_iter().find(|s| self.ends(s)) else {
            return;
        };
        let before = self.before(suffix);
        if before < self.regions[1] {
            return;
        }
        if suffix != "ion" || (before > 0 && matches!(self.chars[before - 1], 's' | 't')) {
            self.replace(suffix, "");
        }
    }

    fn step_5(&mut self) {
        let Some(before) = self.chars.len().checked_sub(1) else {
            return;
        };
        let remove = match self.chars[before] {
            'e' => {
                before >= self.regions[1] || (before >= self.regions[0] && !self.is_short(before))
            }
            'l' => before >= self.regions[1] && before > 0 && self.chars[before - 1] == 'l',
            _ => false,
        };
        if remove {
            self.chars.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::stem;

    #[test]
    fn stems_are_those_of_snowball() {
        for (word, expected) in [
            ("restaurants", "restaur"),
            ("located", "locat"),
            ("friendly", "friend"),
            ("families", "famili"),
            ("ties", "tie"),
            ("hopping", "hop"),
            ("hoping", "hope"),
            ("agreed", "agre"),
            ("generously", "generous"),
            ("dying", "die"),
            ("inning", "inning"),
            ("saying", "say"),
            ("'tis", "tis"),
            ("gas", "gas"),
            ("it's", "it"),
            ("controll", "control"),
            ("y", "y"),
            ("", ""),
            ("cafés", "café"),
        ] {
            assert_eq!(stem(word), expected, "{word}");
        }
    }
}
