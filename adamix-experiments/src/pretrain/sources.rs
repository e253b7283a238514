//! The files that a pretraining reads, and what becomes of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use adamix_data::{Tokenizer, fingerprint};
use adamix_models::hub::{Weights, write};
use anyhow::{Context, Result, ensure};
use toml::{Table, Value};

use super::config::PretrainConfig;
use super::corpus::{self, Rows};
use super::tokenizer;
use super::vocabulary::Vocabulary;
use crate::checkpoint::Origin;
use crate::config::resolve_path;

/// Raised by hand when the same config would no longer give the same model.
const SEMANTICS: u32 = 2;

/// What a tokenizer may consist of in a model folder.
pub(super) const TOKENIZER_FILES: [&str; 6] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
];

/// The keys of `[training]` that may change while a pretraining is under way, as long as the learning rates of
/// the steps that are done do not.
const SCHEDULE: [&str; 4] = ["steps", "learning_rate", "warmup_steps", "cooldown_steps"];

/// The config without paths.
fn plain(config: &PretrainConfig) -> PretrainConfig {
    let mut plain = config.clone();
    plain.corpus.paths.clear();
    plain.corpus.held_out_file = None;
    if let Some(base) = &mut plain.base {
        base.folder.clear();
    }
    plain
}

/// The files that a config names.
pub(super) struct Sources {
    /// The corpus.
    pub files: Vec<PathBuf>,
    /// The held-out text.
    pub further: Option<PathBuf>,
    /// The base model's folder.
    pub base: Option<PathBuf>,
}

impl Sources {
    /// Finds them all.
    ///
    /// # Errors
    /// If one is not there.
    pub(super) fn find(config: &PretrainConfig) -> Result<Self> {
        let paths: Vec<PathBuf> = config
            .corpus
            .paths
            .iter()
            .map(|path| resolve_path(path))
            .collect::<Result<_>>()?;
        let further = config.corpus.held_out_file.as_deref();
        let further = further.map(resolve_path).transpose()?;
        if let Some(path) = &further {
            ensure!(
                path.is_file(),
                "{}: no such file; it is `corpus.held_out_file`, which may be left out",
                path.display()
            );
        }
        let base = config.base.as_ref();
        let base = base.map(|base| resolve_path(&base.folder)).transpose()?;
        if let Some(path) = &base {
            ensure!(
                path.is_dir(),
                "{}: no such folder; it is `base.folder`",
                path.display()
            );
        }
        let files = corpus::files(&paths)?;
        let whole = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone());
        let mut known = BTreeSet::new();
        for path in files.iter().chain(&further) {
            ensure!(
                known.insert(whole(path)),
                "{}: is in the corpus twice, or held out and in it; name it once",
                path.display()
            );
        }
        Ok(Self {
            files,
            further,
            base,
        })
    }

    /// What decides the outcome. Paths do not: the files' contents do.
    pub(super) fn identity(&self, config: &PretrainConfig) -> Result<String> {
        let mut whole = format!("{SEMANTICS}\n{}\n", fingerprint(&self.files)?);
        if let Some(path) = &self.further {
            whole += &fingerprint(std::slice::from_ref(path))?;
        }
        whole.extend(self.base_hash()?);
        whole += &toml::to_string(&plain(config))?;
        Ok(blake3::hash(whole.as_bytes()).to_hex()[..16].to_owned())
    }

    /// What decides every step but for its learning rate, key by key: the same for all schedules.
    pub(super) fn origin(&self, config: &PretrainConfig) -> Result<Origin> {
        let mut table = Table::try_from(plain(config))?;
        if let Some(Value::Table(training)) = table.get_mut("training") {
            for key in SCHEDULE {
                training.remove(key);
            }
        }
        let further = match &self.further {
            Some(path) => fingerprint(std::slice::from_ref(path))?,
            None => "none".to_owned(),
        };
        let inputs = [
            ("the corpus' hash", fingerprint(&self.files)?),
            ("the held-out file's hash", further),
            (
                "the base model's hash",
                self.base_hash()?.unwrap_or_default(),
            ),
            ("the meaning of pretrainings", SEMANTICS.to_string()),
        ];
        let inputs = inputs
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        Ok(Origin::new(&table, &inputs))
    }

    /// The hash of the base model: its weights, its configuration and its tokenizer.
    pub(super) fn base_hash(&self) -> Result<Option<String>> {
        let Some(folder) = &self.base else {
            return Ok(None);
        };
        let mut files = vec![folder.join("config.json")];
        files.extend_from_slice(Weights::open(folder)?.paths());
        let tokenizer = Tokenizer::from_folder(folder)?.fingerprint();
        Ok(Some(format!("{}+{tokenizer}", fingerprint(&files)?)))
    }

    /// The size of the corpus.
    pub(super) fn bytes(&self) -> Result<u64> {
        let mut bytes = 0;
        for path in &self.files {
            bytes += std::fs::metadata(path)?.len();
        }
        Ok(bytes)
    }
}

/// The texts as rows, with the vocabulary that made them.
pub(super) struct Texts {
    /// From the base, or learned from the corpus.
    pub vocabulary: Vocabulary,
    /// How many paragraphs the corpus has.
    pub paragraphs: usize,
    /// The corpus.
    pub rows: Rows,
    /// The held-out file, by its last two names.
    pub further: Option<(String, Rows)>,
}

impl Texts {
    /// Reads all texts; `fresh` makes the tokenizer's files first, otherwise those of the folder are taken.
    pub(super) fn read(
        config: &PretrainConfig,
        out: &Path,
        sources: &Sources,
        fresh: bool,
    ) -> Result<Self> {
        let files: Vec<Vec<String>> = sources
            .files
            .iter()
            .map(|file| corpus::paragraphs(file))
            .collect::<Result<_>>()?;
        let tokens = config.training.tokens;
        match (&config.model, &sources.base) {
            (Some(model), _) if fresh => {
                let longest = model.positions.unwrap_or(tokens);
                let paragraphs = files.concat();
                tokenizer::train(
                    out,
                    config.objective,
                    &paragraphs,
                    model.vocab_size,
                    longest,
                )?;
            }
            (None, Some(base)) if fresh => copy_tokenizer(base, out)?,
            _ => {}
        }
        let vocabulary = Vocabulary::open(out, config.objective)?;
        let pack = |files: &[Vec<String>]| -> Result<Rows> {
            let ids: Vec<Vec<Vec<u32>>> = files
                .iter()
                .map(|paragraphs| vocabulary.tokenizer.encode_plain(paragraphs))
                .collect::<Result<_, _>>()?;
            Ok(Rows::pack(&ids, tokens, &vocabulary.framing))
        };
        let further = match &sources.further {
            Some(path) => {
                let rows = pack(&[corpus::paragraphs(path)?])?;
                ensure!(
                    rows.len() > 0,
                    "{}: the text fills no row of {tokens} tokens; it is `corpus.held_out_file`",
                    path.display()
                );
                Some((last_names(path), rows))
            }
            None => None,
        };
        Ok(Self {
            paragraphs: files.iter().map(Vec::len).sum(),
            rows: pack(&files)?,
            further,
            vocabulary,
        })
    }
}

/// The last two names of a path: enough to know a file by, and none of the machine's.
fn last_names(path: &Path) -> String {
    let names: Vec<_> = path.iter().map(|name| name.to_string_lossy()).collect();
    names[names.len().saturating_sub(2)..].join("/")
}

fn copy_tokenizer(from: &Path, to: &Path) -> Result<()> {
    for name in TOKENIZER_FILES {
        let path = from.join(name);
        if path.is_file() {
            let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
            write::atomic(&to.join(name), &bytes)?;
        }
    }
    Ok(())
}
