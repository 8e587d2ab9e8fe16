//! The `dewpoint` program. Everything is in the library, so that tests can drive it.

fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(dewpoint::cli::run(std::env::args_os()))
}
