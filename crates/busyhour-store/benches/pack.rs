//! How many bytes a window takes in a pack, and how long packing and reading take.
//!
//! `cargo bench -p busyhour-store --bench pack [WINDOWS IN A PACK]`; the data are made before the clock
//! starts. `--smoke` is for CI: small, and no figure means anything.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has nothing to say")]

#[path = "pack/fleet.rs"]
mod fleet;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use busyhour_store::pack_bench::{JournalRow, pack, parts, rows, windows};
use fleet::{Path, Weather};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let smoke = arguments.iter().any(|argument| argument == "--smoke");
    let per_pack = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(240);
    let (paths, windows) = if smoke { (1, 300) } else { (20, 1_440) };
    for weather in [Weather::Quiet, Weather::Congested, Weather::Wifi] {
        run(weather, 60_000_000, paths, windows, per_pack);
    }
    if !smoke {
        run(Weather::Quiet, 15_000_000, 4, 5_760, per_pack);
    }
}

fn run(weather: Weather, period_us: i64, paths: u64, count: usize, per_pack: usize) {
    let mut of_path = Vec::new();
    let mut key = None;
    for seed in 0..paths {
        let mut path = Path::new(weather, seed);
        let journal: Vec<JournalRow> =
            (0..count).map(|_| JournalRow::of(&path.next(period_us))).collect();
        of_path.push(journal);
        key = Some(path.key);
    }
    let key = key.unwrap();
    let all = paths as usize * count;
    let in_journal: usize = of_path.iter().flatten().map(JournalRow::len).sum();

    let began = Instant::now();
    let packs: Vec<Vec<u8>> = of_path
        .iter()
        .flat_map(|rows| rows.chunks(per_pack))
        .map(|rows| pack(rows).unwrap())
        .collect();
    let encoding = began.elapsed();
    let began = Instant::now();
    let decoded: usize =
        packs.iter().map(|pack| black_box(windows(pack, &key).unwrap()).len()).sum();
    let decoding = began.elapsed();
    let began = Instant::now();
    let unpacked: usize = packs.iter().map(|pack| rows(pack).unwrap()).sum();
    let unpacking = began.elapsed();
    assert_eq!((decoded, unpacked), (all, all));

    let mut each: Vec<f64> = packs.iter().map(|pack| pack.len() as f64 / per_pack as f64).collect();
    each.sort_by(f64::total_cmp);
    let bytes: usize = packs.iter().map(Vec::len).sum();
    let nanos = |spent: std::time::Duration| spent.as_nanos() / all as u128;
    println!(
        "{weather:?}, every {} s, {per_pack} windows a pack: {:.1} bytes a window, by pack median {:.1}, \
         highest {:.1}; journal {:.1}; packing {} ns, windows {} ns, rows {} ns a window",
        period_us / 1_000_000,
        bytes as f64 / all as f64,
        each[each.len() / 2],
        each[each.len() - 1],
        in_journal as f64 / all as f64,
        nanos(encoding),
        nanos(decoding),
        nanos(unpacking),
    );
    let mut by_part: BTreeMap<String, usize> = BTreeMap::new();
    for (part, bytes) in packs.iter().flat_map(|pack| parts(pack).unwrap()) {
        *by_part.entry(part).or_default() += bytes;
    }
    let mut by_part: Vec<_> = by_part.into_iter().filter(|&(_, bytes)| bytes * 50 > all).collect();
    by_part.sort_by_key(|&(_, bytes)| std::cmp::Reverse(bytes));
    for (part, bytes) in by_part {
        println!("  {:6.2}  {part}", bytes as f64 / all as f64);
    }
}
