//! How texts are learnt, and how they are generated.

use adamix_models::gpt2::generate::EarlyStopping;
use serde::{Deserialize, Serialize};

/// How texts are learnt, and how they are generated; read by the tasks `e2e`, `webnlg` and `dart`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Generation {
    /// ε, the share of each target that is spread over the vocabulary: 0.1 for E2E and WebNLG in the released
    /// runs, 0 for DART.
    pub label_smoothing: f64,
    /// Which split is trained on.
    pub train_split: TrainSplit,
    /// Rows of the development split that the loss is taken on, from the top; 0 for all.
    pub dev_rows: usize,
    /// Inputs of the test split that are decoded, from the top; 0 for all.
    pub test_inputs: usize,
    /// Which states of the model decode the test split.
    pub states: States,
    /// References of an input that WebNLG's and DART's scores use, the first ones; 0 for all.
    pub references: usize,
    /// How texts are searched for.
    pub search: Search,
    /// Hypotheses that a beam search follows.
    pub beams: usize,
    /// The power of the length that a beam search divides its sums by.
    pub length_penalty: f64,
    /// The n-grams of which a beam search repeats none; 0 for no ban.
    pub no_repeat_ngram: usize,
    /// When `search = "huggingface"` ends: `heuristic`, `full` or `never`.
    pub early_stopping: EarlyStopping,
    /// The most tokens of a text.
    pub new_tokens: usize,
    /// Whether a blank line ends a text too, where the vocabulary has one token for it.
    pub blank_line_ends: bool,
    /// What logits are divided by when sampling.
    pub temperature: f64,
    /// How many of the likeliest tokens are sampled from; 0 for all.
    pub top_k: usize,
    /// The probability that the tokens sampled from hold together.
    pub top_p: f64,
    /// Inputs decoded at a time.
    pub batch_size: usize,
}

/// How texts are searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Search {
    /// Beam search as the released code does it.
    Released,
    /// Beam search as `transformers` does it.
    HuggingFace,
    /// The likeliest token each time.
    Greedy,
    /// Tokens at random, from the run's keys.
    Sample,
}

/// Which split is trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainSplit {
    /// The training split.
    Train,
    /// The first `input.train_rows` rows of the development split, which is then measured on the others: a
    /// stand-in where the training file is not at hand.
    Dev,
}

/// Which states of a trained model are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum States {
    /// After the last step, as the released code.
    Last,
    /// The lowest development loss.
    Best,
    /// Both.
    Both,
}

impl States {
    /// The names of the states, as in the run's folder.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::Last => &["last"],
            Self::Best => &["best"],
            Self::Both => &["best", "last"],
        }
    }
}

impl Default for Generation {
    fn default() -> Self {
        Self {
            label_smoothing: 0.1,
            train_split: TrainSplit::Train,
            dev_rows: 0,
            test_inputs: 0,
            states: States::Last,
            references: 6,
            search: Search::Released,
            beams: 10,
            length_penalty: 0.8,
            no_repeat_ngram: 4,
            early_stopping: EarlyStopping::Heuristic,
            new_tokens: 64,
            blank_line_ends: true,
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            batch_size: 16,
        }
    }
}
