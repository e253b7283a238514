//! What can go wrong with METEOR's data.

use std::path::PathBuf;

/// Why METEOR cannot be computed.
#[derive(Debug, thiserror::Error)]
pub enum MeteorError {
    /// The data is nowhere to be found.
    #[error(
        "METEOR 1.5 needs its official data, which is not in {}. Get it with\n    \
         pip download --no-deps --dest {} pycocoevalcap==1.2\n\
         or point ADAMIX_METEOR at a folder with meteor-1.5.jar and data/paraphrase-en.gz",
        folder.display(), folder.display()
    )]
    Missing {
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// A file could not be read or written.
    #[error("METEOR data {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("METEOR data {}: {problem}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

impl MeteorError {
    /// Wraps a system error with its file.
    pub(super) fn file(path: &std::path::Path) -> impl Fn(std::io::Error) -> Self + '_ {
        move |source| Self::File {
            path: path.to_owned(),
            source,
        }
    }

    /// A file with the wrong contents.
    pub(super) fn format(path: &std::path::Path, problem: impl Into<String>) -> Self {
        Self::Format {
            path: path.to_owned(),
            problem: problem.into(),
        }
    }
}
