//! The whole `adamix` program, with one policy more.

fn main() -> std::process::ExitCode {
    my_policy::register();
    adamix_experiments::cli::main()
}
