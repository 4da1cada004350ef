//! The command line of `ovscope record`.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::{
    cli::{ConfigArgs, DaemonArgs, ProbeArgs, parse_duration},
    filters::{BadUsage, parse_bytes},
};
use crate::record::{FILE_MIN, Files};

/// `record`.
#[derive(Debug, Clone, Args)]
pub struct RecordArgs {
    /// The file to write (it must not exist yet); - streams to standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Overwrite a file that exists
    #[arg(long)]
    pub force: bool,
    /// Stop after this time: 30s, 5m, 1h
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub duration: Option<Duration>,
    /// Start a new file before one grows beyond this (with k, M or G): FILE-0001.mcap, FILE-0002.mcap, …
    #[arg(long, value_name = "SIZE", value_parser = parse_file_size)]
    pub max_size: Option<u64>,
    /// Start a new file when one is this old
    #[arg(long, value_name = "TIME", value_parser = parse_age)]
    pub max_age: Option<Duration>,
    /// Delete the oldest files of this recording, so that all of them together stay below this
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub max_total: Option<u64>,
    /// Ask the daemon about this many of the busiest flows a second (two requests each), and in a storm for traces of a few;
    /// 0: never
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=10))]
    pub ask: u32,
    #[command(flatten)]
    #[expect(missing_docs, reason = "see its type")]
    pub probes: ProbeArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "see its type")]
    pub daemon: DaemonArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "see its type")]
    pub config: ConfigArgs,
}

impl RecordArgs {
    /// Whether it goes to standard output.
    pub fn is_stream(&self) -> bool {
        self.output.as_os_str() == "-"
    }

    /// How its files are made; an error where the options contradict each other.
    pub fn files(&self) -> Result<Files, BadUsage> {
        let &Self { force, max_size, max_age, max_total, .. } = self;
        let files = Files { force, max_size, max_age, max_total };
        let bad = |why: &str| Err(BadUsage::new(why));
        if self.is_stream() && (files.is_row() || max_total.is_some()) {
            return bad(
                "--max-size, --max-age and --max-total are for files, and -o - is a stream: name a file with -o",
            );
        }
        match (max_size, max_total) {
            (None, Some(_)) => bad("--max-total deletes whole files: it needs --max-size, at most half as big"),
            (Some(size), Some(total)) if total / 2 < size => bad(
                "--max-total must be at least twice --max-size: a file is deleted only when the next but one begins",
            ),
            _ => Ok(files),
        }
    }
}

/// Bytes, with a unit of 1024, its square or its cube.
fn parse_size(text: &str) -> Result<u64, String> {
    parse_bytes(text).filter(|size| *size > 0).ok_or_else(|| format!("'{text}' is no size: try 100M or 2G"))
}

fn parse_file_size(text: &str) -> Result<u64, String> {
    let size = parse_size(text)?;
    if size < FILE_MIN {
        return Err(format!(
            "'{text}' is too little: each file begins with the state, so at least {}M",
            FILE_MIN >> 20
        ));
    }
    Ok(size)
}

fn parse_age(text: &str) -> Result<Duration, String> {
    let age = parse_duration(text)?;
    if age < Duration::from_secs(1) {
        return Err(format!("'{text}' is less than a second: try 10m or 1h"));
    }
    Ok(age)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::{
        super::cli::{Cli, Command},
        *,
    };

    fn args(more: &[&str]) -> Result<RecordArgs, clap::Error> {
        let all = ["ovscope", "record"].iter().chain(more);
        match Cli::try_parse_from(all)?.command {
            Some(Command::Record(args)) => Ok(args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!([parse_size("7"), parse_size("2k"), parse_size("1G")], [Ok(7), Ok(2048), Ok(1 << 30)]);
        for bad in ["", "M", "0", "-1M", "1.5M", "99999999999G", "1T"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_row_of_files_is_asked_for_with_limits_that_fit_together() {
        let files = |more: &[&str]| args(more).expect("good syntax").files().map_err(|bad| bad.to_string());
        let row = files(&["-o", "f", "--max-size", "100M", "--max-total", "200M", "--max-age", "1h", "--force"]);
        let (size, age) = (Some(100 << 20), Some(Duration::from_secs(3600)));
        assert_eq!(row, Ok(Files { force: true, max_size: size, max_age: age, max_total: Some(200 << 20) }));
        assert_eq!(files(&["-o", "-"]), Ok(Files::default()));
        for (bad, word) in [
            (&["-o", "-", "--max-size", "100M"][..], "-o -"),
            (&["-o", "-", "--max-age", "10s"], "-o -"),
            (&["-o", "f", "--max-total", "1G"], "--max-size"),
            (&["-o", "f", "--max-age", "1h", "--max-total", "1G"], "--max-size"),
            (&["-o", "f", "--max-size", "100M", "--max-total", "50M"], "twice"),
            (&["-o", "f", "--max-size", "100M", "--max-total", "199M"], "twice"),
        ] {
            let why = files(bad).expect_err("they do not fit");
            assert!(why.contains(word), "{bad:?}: {why}");
        }
        for bad in [["--max-size", "1M"], ["--max-age", "10ms"], ["--max-size", "big"]] {
            assert!(args(&["-o", "f", bad[0], bad[1]]).is_err(), "{bad:?}");
        }
    }
}
