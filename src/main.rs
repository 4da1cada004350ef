//! Reports what [`ovscope::app`] says.

use std::process::ExitCode;

use clap::Parser as _;
use ovscope::app::{self, cli::Cli, filters::BadUsage};

fn main() -> ExitCode {
    match app::run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("ovscope: {error:#}");
            if error.is::<BadUsage>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}
