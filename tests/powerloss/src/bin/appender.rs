//! A process that appends to a store: to be killed, or to find its disk full.
//!
//!     appender grow DIRECTORY SEED    appends for ever and says each block that was acknowledged
//!     appender fill DIRECTORY         fills a small disk, makes room, and goes on

use std::error::Error;
use std::io::Write as _;
use std::path::Path;

use busyhour_model::BlockNo;
use busyhour_store::{Appended, ErrorKind, SqliteControl, SqliteTelemetry, Telemetry as _};
use fastrand::Rng;
use powerloss::expected::Expected;
use powerloss::load::{EPOCH, SMALL, small_block};
use powerloss::open;

/// What is deleted to make room.
const BALLAST: usize = 3 << 20;
/// How often the full disk is tried.
const REFUSALS: u32 = 20;
/// More blocks than any small disk holds.
const MOST: u64 = 100_000;

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["grow", directory, seed] => grow(Path::new(directory), Rng::with_seed(seed.parse()?)),
        ["fill", directory] => fill(Path::new(directory)),
        _ => Err("grow DIRECTORY SEED, or fill DIRECTORY".into()),
    }
}

/// The number of each agent's next block. Fails when one is missing, or is there that nobody sent.
fn next_blocks(store: &SqliteTelemetry) -> Result<[u64; SMALL.len()], Box<dyn Error>> {
    let mut next = [1; SMALL.len()];
    for (next, agent) in next.iter_mut().zip(SMALL) {
        *next = match store.received(agent, EPOCH)?[..] {
            [] => 1,
            [(BlockNo(1), BlockNo(last))] => last + 1,
            ref ranges => return Err(format!("blocks are missing: {ranges:?}").into()),
        };
    }
    Ok(next)
}

/// Says on each line the number of the last acknowledged block of every agent.
fn grow(directory: &Path, mut random: Rng) -> Outcome {
    let (store, _control) = open(directory)?;
    let mut next = next_blocks(&store)?;
    let mut out = std::io::stdout().lock();
    loop {
        let last: Vec<String> = next.iter().map(|next| (next - 1).to_string()).collect();
        writeln!(out, "{}", last.join(" "))?;
        let mut batch = Vec::new();
        for _ in 0..random.u8(1..6) {
            let at = random.usize(..SMALL.len());
            batch.push(small_block(SMALL[at], next[at]));
            next[at] += 1;
        }
        if store.append(&batch)? != vec![Appended::Stored; batch.len()] {
            return Err("a new block is there already".into());
        }
    }
}

fn fill(directory: &Path) -> Outcome {
    let ballast = directory.join("ballast");
    std::fs::write(&ballast, vec![7; BALLAST])?;
    let store = open(&directory.join("data"))?;
    let mut expected = Expected::default();
    let mut next = append_until_full(&store.0, &mut expected, 1, 1)?;
    holds(&store, &expected, "on a full disk")?;
    let full = next;
    // Folding still finds some room here and there.
    next = append_until_full(&store.0, &mut expected, next, REFUSALS)?;
    holds(&store, &expected, "on a disk that is still full")?;
    std::fs::remove_file(&ballast)?;
    for number in next..next + next / 10 {
        let block = small_block(SMALL[0], number);
        let appended = store.0.append(std::slice::from_ref(&block))?;
        if appended != [Appended::Stored] {
            return Err(format!("with room again: {appended:?}").into());
        }
        expected.append(&[block]);
    }
    holds(&store, &expected, "with room again")?;
    drop(store);
    holds(&open(&directory.join("data"))?, &expected, "opened again")?;
    println!("full after {} blocks, {} in the end", full - 1, expected.blocks());
    Ok(())
}

/// Appends blocks from this number on until so many calls were refused; the number of the last one.
fn append_until_full(
    store: &SqliteTelemetry,
    expected: &mut Expected,
    from: u64,
    refusals: u32,
) -> Result<u64, Box<dyn Error>> {
    let mut refused = 0;
    let mut number = from;
    while number < MOST {
        let block = small_block(SMALL[0], number);
        match store.append(std::slice::from_ref(&block)) {
            Ok(_) => {
                expected.append(&[block]);
                number += 1;
            }
            Err(error) if error.kind() == ErrorKind::Full => {
                refused += 1;
                if refused == refusals {
                    return Ok(number);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err("the disk is never full".into())
}

fn holds(
    (telemetry, control): &(SqliteTelemetry, SqliteControl),
    expected: &Expected,
    when: &str,
) -> Outcome {
    match expected.differs(telemetry, control)? {
        Some(difference) => Err(format!("{when}: {difference}").into()),
        None => Ok(()),
    }
}
