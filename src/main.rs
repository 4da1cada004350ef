//! Reports what [`ovscope::app`] says.

use std::process::ExitCode;

use clap::Parser as _;
use ovscope::app::{self, cli::Cli};

fn main() -> ExitCode {
    match app::run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("ovscope: {error:#}");
            ExitCode::FAILURE
        }
    }
}
