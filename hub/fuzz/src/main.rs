//! Fuzzes on a stable compiler: `fuzz all --seconds 60` or `fuzz framing --seconds 3600 --seed 7`.

use std::fs;
use std::io;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use leveret_fuzz::{Mutator, TARGETS, Target};

/// Feeds mutated inputs to a target until the time is up or a promise is broken.
#[derive(Parser, Debug)]
struct Options {
    /// The target, or `all`.
    target: String,
    /// How long, all targets together.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Repeats an earlier run; otherwise taken from the clock and printed.
    #[arg(long)]
    seed: Option<u64>,
    /// Runs one input from a file, such as one that failed.
    #[arg(long)]
    input: Option<PathBuf>,
}

/// The most changes made to one seed.
const CHANGES_MAX: usize = 8;

fn main() -> ExitCode {
    let options = Options::parse();
    let chosen: Vec<&Target> = TARGETS
        .iter()
        .filter(|t| options.target == "all" || t.name == options.target)
        .collect();
    if chosen.is_empty() {
        let names: Vec<_> = TARGETS.iter().map(|t| t.name).collect();
        eprintln!(
            "no target is called {:?}; there are: all, {}",
            options.target,
            names.join(", ")
        );
        return ExitCode::from(2);
    }
    let seed = options.seed.unwrap_or_else(seed_of_the_clock);
    let each = Duration::from_secs(options.seconds) / chosen.len() as u32;
    for target in chosen {
        let outcome = match &options.input {
            Some(path) => fs::read(path).map(|input| {
                (target.run)(&input);
                true
            }),
            None => fuzz(target, seed, each),
        };
        match outcome {
            Ok(true) => {}
            Ok(false) => return ExitCode::FAILURE,
            Err(error) => {
                eprintln!("{}: {error}", target.name);
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// Whether the target kept its promises for this long.
fn fuzz(target: &Target, seed: u64, time: Duration) -> io::Result<bool> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = read_corpus(&home.join("corpus").join(target.name))?;
    let mut mutator = Mutator::seeded(seed);
    let end = Instant::now() + time;
    let mut runs: u64 = 0;
    // Every seed as it is, first: old failures live there.
    let mut next = corpus.iter().cloned();
    while runs < corpus.len() as u64 || Instant::now() < end {
        let input = next
            .next()
            .unwrap_or_else(|| mutator.input(&corpus, target.dictionary, CHANGES_MAX));
        if catch_unwind(|| (target.run)(&input)).is_err() {
            let folder = home.join("failures");
            fs::create_dir_all(&folder)?;
            let path = folder.join(format!("{}-{seed}-{runs}", target.name));
            fs::write(&path, &input)?;
            eprintln!(
                "{} failed at run {runs} of seed {seed}; the input is in {}",
                target.name,
                path.display()
            );
            return Ok(false);
        }
        runs += 1;
    }
    println!("{}: {runs} runs, seed {seed}", target.name);
    Ok(true)
}

fn read_corpus(folder: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut paths = fs::read_dir(folder)?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<io::Result<Vec<_>>>()?;
    // The order must not depend on the file system, or seeds would mean nothing.
    paths.sort();
    paths.iter().map(fs::read).collect()
}

fn seed_of_the_clock() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_micros() as u64)
}
