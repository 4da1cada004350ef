//! Reports what [`ovscope::app`] says.

use std::process::ExitCode;

use ovscope::app::{self, config, filters::BadUsage};

fn main() -> ExitCode {
    match config::command_line().and_then(app::run) {
        Ok(code) => code,
        Err(error) => {
            app::say(&format!("{error:#}"));
            if error.is::<BadUsage>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}
