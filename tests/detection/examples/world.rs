//! What the generator makes: how many episodes, how strong, how fast.
//!
//! `cargo run --release -p detection --example world -- [BUILDINGS] [SEEDS]`

use std::process::ExitCode;
use std::time::{Duration, Instant};

use busyhour_sim::world::{
    Class, Hardness, Mechanisms, Plan, Truth, TruthKind, World, severity_quartiles,
};

/// What was made of one kind of fleet.
#[derive(Debug, Default)]
struct Made {
    truths: Vec<Truth>,
    windows: u64,
    series: usize,
    coverages: Vec<f64>,
    took: Duration,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse());
    let buildings = arguments.next().unwrap_or(Ok(30));
    let seeds = arguments.next().unwrap_or(Ok(2));
    let (Ok(buildings), Ok(seeds)) = (buildings, seeds) else {
        eprintln!("usage: world [BUILDINGS] [SEEDS]");
        return ExitCode::FAILURE;
    };
    for &hardness in Hardness::ALL {
        for &mechanisms in Mechanisms::ALL {
            let mut made = Made::default();
            for seed in 1..=u64::from(seeds) {
                let plan = Plan { hardness, mechanisms, buildings, ..Plan::new(seed) };
                let Ok(world) = World::new(&plan) else { return ExitCode::FAILURE };
                make(&world, &mut made);
            }
            let months = f64::from(buildings * seeds) * 84.0 / 30.0;
            tell(hardness, mechanisms, months, &mut made);
        }
    }
    ExitCode::SUCCESS
}

fn make(world: &World, made: &mut Made) {
    let begun = Instant::now();
    let days = f64::from(world.plan().days);
    for number in 0..world.regions() {
        let region = world.region(number);
        for series in &region.series {
            let windows: u64 = series.slots.iter().map(|slot| u64::from(slot.valid)).sum();
            made.windows += windows;
            made.series += 1;
            made.coverages.push(windows as f64 / (days * 24.0 * 60.0));
        }
        made.truths.extend(region.truths);
    }
    made.took += begun.elapsed();
}

fn tell(hardness: Hardness, mechanisms: Mechanisms, months: f64, made: &mut Made) {
    let episodes = || made.truths.iter().filter(|truth| truth.kind == TruthKind::Episode);
    let of = |class| episodes().filter(|truth| truth.class == class).count();
    let quartiles = severity_quartiles(&made.truths).unwrap_or_default();
    println!("{} {}: {months:.0} building-months", hardness.as_str(), mechanisms.as_str());
    println!(
        "  episodes {} (must {}, may {}, never {}), {:.0} in 504 building-months",
        episodes().count(),
        of(Class::Must),
        of(Class::May),
        of(Class::Never),
        episodes().count() as f64 * 504.0 / months,
    );
    println!("  severity of musts, quartiles: {quartiles:.2?}");
    made.coverages.sort_by(f64::total_cmp);
    let coverage = |share: f64| {
        let place = (share * made.coverages.len().saturating_sub(1) as f64) as usize;
        made.coverages.get(place).copied().unwrap_or(0.0)
    };
    println!(
        "  {} series, coverage median {:.2}, one in ten below {:.2}",
        made.series,
        coverage(0.5),
        coverage(0.1)
    );
    println!(
        "  {} windows in {:.1?}: {:.0} ns a window",
        made.windows,
        made.took,
        made.took.as_nanos() as f64 / made.windows.max(1) as f64
    );
}
