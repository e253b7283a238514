//! Which modules of a model an `adapter_config.json` names, by PEFT's rules.

use regex::Regex;

/// A list of names, or one pattern.
#[derive(Clone, Debug)]
enum Selector {
    /// A module is meant by its whole path or by its last segments.
    Names(Vec<String>),
    /// A regular expression over the whole path.
    Pattern(Regex),
    /// Every linear module below the head: PEFT's `all-linear`.
    AllLinear,
}

/// The modules a config names.
#[derive(Clone, Debug)]
pub struct Targets {
    targets: Selector,
    excluded: Option<Selector>,
    /// Numbers of layers, where only some are meant.
    layers: Option<Vec<usize>>,
    /// Names of the list of layers; empty for any.
    layer_lists: Vec<String>,
    saved: Vec<String>,
}

/// One name, a list of names, or a pattern, as JSON gives it.
#[derive(Clone, Debug, PartialEq)]
pub enum NamesOrPattern {
    /// Names.
    Names(Vec<String>),
    /// A pattern.
    Pattern(String),
}

impl NamesOrPattern {
    fn selector(&self) -> Result<Selector, regex::Error> {
        Ok(match self {
            Self::Names(names) => Selector::Names(names.clone()),
            Self::Pattern(text) if text == "all-linear" => Selector::AllLinear,
            Self::Pattern(text) => Selector::Pattern(anchored(text)?),
        })
    }
}

impl Selector {
    fn matches(&self, module: &str) -> bool {
        match self {
            Self::Names(names) => names.iter().any(|name| ends_with_path(module, name)),
            Self::Pattern(pattern) => pattern.is_match(module),
            Self::AllLinear => true,
        }
    }
}

impl Targets {
    /// Compiles the fields of a config; an error is that of a pattern.
    pub fn new(
        targets: &NamesOrPattern,
        excluded: Option<&NamesOrPattern>,
        layers: Option<Vec<usize>>,
        layer_lists: Vec<String>,
        saved: Vec<String>,
    ) -> Result<Self, regex::Error> {
        Ok(Self {
            targets: targets.selector()?,
            excluded: excluded.map(NamesOrPattern::selector).transpose()?,
            layers: layers.filter(|layers| !layers.is_empty()),
            layer_lists,
            saved,
        })
    }

    /// Whether a module, by its path in the model, is meant.
    pub fn matches(&self, module: &str) -> bool {
        let excluded = self.excluded.as_ref().is_some_and(|e| e.matches(module));
        if excluded || self.saves(module) || !self.targets.matches(module) {
            return false;
        }
        match (&self.targets, &self.layers) {
            // A pattern, or a whole path, says all by itself.
            (Selector::Names(names), Some(_)) if names.iter().any(|name| name == module) => true,
            (Selector::Names(_), Some(layers)) => self
                .layer_of(module)
                .is_some_and(|layer| layers.contains(&layer)),
            _ => true,
        }
    }

    /// Whether a module is saved whole, or is part of one that is.
    pub fn saves(&self, module: &str) -> bool {
        let saved = |name: &String| {
            module.split('.').any(|segment| segment == name) || ends_with_path(module, name)
        };
        self.saved.iter().any(saved)
    }

    /// The number after the first list of layers in a path.
    fn layer_of(&self, module: &str) -> Option<usize> {
        let segments: Vec<&str> = module.split('.').collect();
        let list =
            |name: &str| self.layer_lists.is_empty() || self.layer_lists.iter().any(|l| l == name);
        segments
            .windows(3)
            .find_map(|w| w[2..].first().and(w[1].parse().ok()).filter(|_| list(w[0])))
    }
}

/// The value that a pattern table (`rank_pattern`, `alpha_pattern`) has for a module: that of the first
/// key, in the file's order, that is the path's end as a regular expression.
pub fn pattern_value<'a>(
    patterns: impl IntoIterator<Item = &'a (String, f64)>,
    module: &str,
) -> Result<Option<f64>, regex::Error> {
    for (key, value) in patterns {
        if anchored(&format!(r"(.*\.)?({key})"))?.is_match(module) {
            return Ok(Some(*value));
        }
    }
    Ok(None)
}

/// The shortest names that mean exactly `chosen` among all `modules`: last segments where these are
/// enough, whole paths otherwise.
pub fn shortest_names(chosen: &[String], modules: &[String]) -> Vec<String> {
    let last = |path: &String| path.rsplit('.').next().unwrap_or(path).to_owned();
    let mut names: Vec<String> = chosen.iter().map(last).collect();
    names.sort();
    names.dedup();
    let meant = |module: &&String| names.iter().any(|name| ends_with_path(module, name));
    if modules.iter().filter(meant).count() == chosen.len() {
        return names;
    }
    let mut paths = chosen.to_vec();
    paths.sort();
    paths
}

/// Whether `name` is the path or its last segments.
fn ends_with_path(path: &str, name: &str) -> bool {
    path.strip_suffix(name)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn anchored(pattern: &str) -> Result<Regex, regex::Error> {
    Regex::new(&format!("^(?:{pattern})$"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> NamesOrPattern {
        NamesOrPattern::Names(names.iter().map(|n| n.to_string()).collect())
    }

    const QUERY: &str = "roberta.encoder.layer.11.attention.self.query";

    #[test]
    fn names_are_ends_of_paths_at_a_dot() {
        let targets = |n: &[&str]| Targets::new(&names(n), None, None, vec![], vec![]).unwrap();
        assert!(targets(&["query"]).matches(QUERY));
        assert!(targets(&["self.query"]).matches(QUERY));
        assert!(targets(&[QUERY]).matches(QUERY));
        assert!(!targets(&["uery"]).matches(QUERY));
        assert!(!targets(&["layer"]).matches(QUERY));
    }

    #[test]
    fn patterns_match_the_whole_path() {
        let pattern = |p: &str| {
            let pattern = NamesOrPattern::Pattern(p.to_owned());
            Targets::new(&pattern, None, None, vec![], vec![]).unwrap()
        };
        assert!(pattern(r".*layer\.1\d\..*(query|value)").matches(QUERY));
        assert!(!pattern("query").matches(QUERY));
        assert!(pattern("all-linear").matches(QUERY));
    }

    #[test]
    fn layers_exclusions_and_saved_modules_narrow() {
        let with = |layers: &[usize], lists: &[&str]| {
            let lists = lists.iter().map(|l| l.to_string()).collect();
            Targets::new(
                &names(&["query"]),
                None,
                Some(layers.to_vec()),
                lists,
                vec![],
            )
            .unwrap()
        };
        assert!(with(&[3, 11], &[]).matches(QUERY));
        assert!(!with(&[1], &[]).matches(QUERY));
        assert!(with(&[11], &["layer"]).matches(QUERY));
        assert!(!with(&[11], &["h"]).matches(QUERY));
        let excluded = names(&["layer.11.attention.self.query"]);
        let targets = Targets::new(&names(&["query"]), Some(&excluded), None, vec![], vec![]);
        assert!(!targets.unwrap().matches(QUERY));
        let dense = names(&["dense"]);
        let targets = Targets::new(&dense, None, None, vec![], vec!["classifier".to_owned()]);
        let targets = targets.unwrap();
        assert!(!targets.matches("classifier.dense") && targets.matches("bert.pooler.dense"));
    }

    #[test]
    fn the_first_pattern_in_the_files_order_wins() {
        let patterns = [
            (r"layer\.11\..*query".to_owned(), 2.0),
            ("query".to_owned(), 6.0),
        ];
        assert_eq!(pattern_value(&patterns, QUERY).unwrap(), Some(2.0));
        let other = QUERY.replace("11", "3");
        assert_eq!(pattern_value(&patterns, &other).unwrap(), Some(6.0));
        assert_eq!(pattern_value(&patterns, "key").unwrap(), None);
    }

    #[test]
    fn exported_names_are_short_where_that_is_exact() {
        let path = |i: usize, m: &str| format!("bert.encoder.layer.{i}.{m}");
        let modules: Vec<String> = (0..2)
            .flat_map(|i| {
                [
                    "attention.self.query",
                    "attention.output.dense",
                    "output.dense",
                ]
                .map(|m| path(i, m))
            })
            .collect();
        let of = |m: &str| -> Vec<String> { (0..2).map(|i| path(i, m)).collect() };
        assert_eq!(
            shortest_names(&of("attention.self.query"), &modules),
            ["query"]
        );
        assert_eq!(
            shortest_names(&of("output.dense"), &modules),
            of("output.dense")
        );
        let one = [path(0, "attention.self.query")];
        assert_eq!(shortest_names(&one, &modules), one);
    }
}
