//! `adamix`: mixtures of adaptations for parameter-efficient tuning.

use std::process::ExitCode;

fn main() -> ExitCode {
    adamix_experiments::cli::main()
}
