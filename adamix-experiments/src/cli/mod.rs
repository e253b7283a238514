//! The verbs of the program.

/// A line on standard output, as `println!` takes it; to be followed by `?`.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::cli::show::out(format_args!("{}\n", format_args!($($text)*)))
    };
}

mod bench;
mod demo;
mod doctor;
mod evaluate;
mod export;
mod generate;
mod inspect;
mod merge;
mod number;
mod output;
mod predict;
mod pretrain;
mod report;
mod reproduce;
mod runs;
mod score;
mod show;
mod state;
mod sweep;
mod tasks;
mod train;
mod verify_merge;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::checkpoint::Busy;
use crate::interrupt::{Interrupted, Stopped};

/// Train, merge and measure mixtures of adaptations (AdaMix) on frozen Transformers.
#[derive(Debug, Parser)]
#[command(
    name = "adamix",
    version,
    about,
    after_help = "\
Exit codes: 0 done; 1 the run or a file is at fault (one line on standard error says which); 2 the command line cannot be read; \
3 stopped by SIGINT or SIGTERM, all is saved and the same command goes on; 4 another program works in the folder; \
130 and 143 stopped at once by a second SIGINT or SIGTERM.

Examples:
  adamix demo
  adamix train --config mrpc.toml --out runs/mrpc --trace
  adamix evaluate runs/mrpc --inference ensemble
  adamix predict --model bert-folder --run runs/mrpc --input rows.jsonl --output predictions.jsonl
  adamix generate --run runs/e2e --task e2e --input devset.csv --output outputs.txt
  adamix merge runs/mrpc --rule ties --out ties
  adamix export runs/mrpc --to peft --out mrpc-adapter
  adamix score e2e --refs testset_w_refs.csv --hyps outputs.txt
  adamix inspect --architecture roberta-large --set adaptation.bottleneck=16
  adamix sweep run rates.toml --workers 2
  adamix runs list --where task=mrpc
  adamix reproduce all --profile smoke
  adamix report"
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Compare full fine-tuning, one adapter and AdaMix on what the program ships: no files, no network.
    Demo(demo::Demo),
    /// Train a config, merge, measure, and write a run folder.
    Train(train::Train),
    /// Measure a run again, in any inference mode.
    Evaluate(evaluate::Evaluate),
    /// Predict rows of a file, with a plain model or with an adapter on it.
    Predict(predict::Predict),
    /// Generate texts with a decoder, plain or trained.
    Generate(generate::Generate),
    /// Merge the experts of a run, or several runs, by any rule.
    Merge(merge::Merge),
    /// Say what merging a run leaves exact, and measure what it does not.
    VerifyMerge(verify_merge::VerifyMerge),
    /// Write a run or an adapter for Python's peft, or as a whole model for transformers.
    Export(export::Export),
    /// Count parameters and bytes of a run, an adapter, a model folder or an architecture.
    Inspect(inspect::Inspect),
    /// Plan many runs from one file, and work them off here or on a cluster.
    Sweep(sweep::Sweep),
    /// List, show, compare and remove runs of a folder.
    Runs(runs::Runs),
    /// Run what a table or figure of the paper needs, and write it beside the paper's own numbers.
    Reproduce(reproduce::Reproduce),
    /// Write all tables and figures again, from their records alone.
    Report(report::Report),
    /// Pretrain a small encoder or decoder from nothing, or a masked-LM head on a base model.
    Pretrain(pretrain::Pretrain),
    /// Score generated text as the official programs do.
    Score(score::Score),
    /// Time a training step or a forward pass on this machine.
    Bench(bench::Bench),
    /// Say which devices, models and data the program finds.
    Doctor(doctor::Doctor),
}

/// Runs the program; errors are one line on standard error and a code that is not zero. A program that adds
/// policies or rules of its own registers them and calls this.
pub fn main() -> ExitCode {
    adamix_kernels::tune_allocator();
    let done = match Cli::parse().verb {
        Verb::Demo(verb) => verb.run(),
        Verb::Train(verb) => verb.run(),
        Verb::Evaluate(verb) => verb.run(),
        Verb::Predict(verb) => verb.run(),
        Verb::Generate(verb) => verb.run(),
        Verb::Merge(verb) => verb.run(),
        Verb::VerifyMerge(verb) => verb.run(),
        Verb::Export(verb) => verb.run(),
        Verb::Inspect(verb) => verb.run(),
        Verb::Sweep(verb) => verb.run(),
        Verb::Runs(verb) => verb.run(),
        Verb::Reproduce(verb) => verb.run(),
        Verb::Report(verb) => verb.run(),
        Verb::Pretrain(verb) => verb.run(),
        Verb::Score(verb) => verb.run(),
        Verb::Bench(verb) => verb.run(),
        Verb::Doctor(verb) => verb.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The chain on one line, without a cause that its parent already tells.
            let mut line = String::new();
            for cause in error
                .chain()
                .map(|cause| cause.to_string().replace('\n', " "))
            {
                if !line.contains(&cause) {
                    line += if line.is_empty() { "" } else { ": " };
                    line += &cause;
                }
            }
            // Nobody may be left to read it.
            let _ = writeln!(std::io::stderr(), "error: {line}");
            ExitCode::from(code(&error))
        }
    }
}

/// The exit code of an error.
fn code(error: &anyhow::Error) -> u8 {
    if error.is::<Stopped>() || error.is::<Interrupted>() {
        3
    } else if error.is::<Busy>() {
        4
    } else {
        1
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// Terminals are at least this wide; clap wraps at no more than 100.
    const WIDTH: usize = 98;

    fn check(command: &clap::Command) {
        let text = command.get_after_help().map(ToString::to_string);
        let text = text.unwrap_or_default();
        let is_prose = |line: &&str| !line.is_empty() && !line.starts_with("  ");
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines.windows(2) {
            let ends = pair[0].ends_with(':');
            let broken = is_prose(&pair[0]) && is_prose(&pair[1]) && !ends;
            assert!(!broken, "{}: by hand: {}", command.get_name(), pair[0]);
        }
        for line in lines.iter().filter(|line| line.starts_with("  ")) {
            let name = command.get_name();
            assert!(line.chars().count() <= WIDTH, "{name}: too long: {line}");
        }
        command.get_subcommands().for_each(check);
    }

    #[test]
    fn help_is_wrapped_by_the_terminal_alone() {
        check(&Cli::command());
        Cli::command().debug_assert();
    }
}
