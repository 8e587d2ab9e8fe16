//! The `dewpoint` program. Everything is in the library, so that tests can drive it.

/// A run makes and drops millions of small values; the C library's allocator spends a quarter of a large sync on them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(dewpoint::cli::run(std::env::args_os()))
}
