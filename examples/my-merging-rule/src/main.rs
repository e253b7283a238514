//! The whole `adamix` program, with one merging rule more.

fn main() -> std::process::ExitCode {
    my_merging_rule::register();
    adamix_experiments::cli::main()
}
