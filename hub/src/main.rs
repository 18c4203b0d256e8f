//! `leveret`: the hub and its command line.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    leveret_hub::cli::run(leveret_hub::cli::args::Cli::parse())
}
