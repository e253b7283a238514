//! `adamix`: mixtures of adaptations for parameter-efficient tuning.

use std::process::ExitCode;

fn main() -> ExitCode {
    adamix_kernels::tune_allocator();
    adamix_experiments::cli::main()
}
