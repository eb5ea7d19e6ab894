//! `busyhour demo`: everything on one machine. A collector, two reflectors and an agent as separate
//! processes that measure real packets on loopback, and weeks of simulated history beside them.

mod processes;
mod setup;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use busyhour_model::UtcMicros;
use busyhour_sim::{Fleet, demo_fleet};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::{MissedTickBehavior, interval};

use self::processes::Process;
use self::setup::Running;
use crate::simulate::{Loader, now};

/// Days in one step of loading: the newest week comes first, whole.
const DAYS_A_STEP: usize = 7;
/// How often simulated agents go on observing once their history is loaded.
const LIVE_PERIOD: Duration = Duration::from_secs(60);
const US_A_MINUTE: i64 = 60_000_000;

const HELP: &str = "\
Examples:
  busyhour demo                     four weeks of history, until Ctrl-C
  busyhour demo --weeks 1           the newest week only
  busyhour demo --keep /tmp/demo    keep the databases, logs and alerts

Everything listens on loopback, on ports that are free. Simulated buildings say so wherever they are
shown, and their alerts never leave this machine.";

/// What the demonstration understands.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct DemoArgs {
    /// Weeks of simulated history
    #[arg(long, value_name = "N", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=4))]
    weeks: u8,
    /// Keep everything in this folder, which must not exist yet; otherwise nothing is left behind
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
    /// The page's port; a free one unless given
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
    /// What the simulated history is drawn from
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
}

/// Runs the demonstration until Ctrl-C.
///
/// # Errors
/// When a process does not start or ends, or the folder cannot be made.
pub(crate) fn run(args: &DemoArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("start the runtime")?;
    runtime.block_on(async {
        let stop = busyhour_daemon::shutdown_signal().context("listen for signals")?;
        let place = Place::new(args.keep.clone())?;
        let mut processes = Vec::new();
        let result = tokio::select! {
            biased;
            () = stop.cancelled() => Ok(()),
            result = demonstrate(args, place.path(), &mut processes) => result,
        };
        eprintln!("\nstopping…");
        // The agents first, so that what they still hold is delivered.
        for process in processes.into_iter().rev() {
            process.stop().await;
        }
        if let Some(kept) = &args.keep {
            eprintln!("everything is kept in {}", kept.display());
        }
        drop(place);
        result
    })
}

/// Where everything lies: a temporary folder that goes with the demonstration, or one to keep.
enum Place {
    Temporary(tempfile::TempDir),
    Kept(PathBuf),
}

impl Place {
    fn new(keep: Option<PathBuf>) -> anyhow::Result<Self> {
        let Some(folder) = keep else {
            let folder = tempfile::Builder::new().prefix("busyhour-demo-").tempdir();
            return Ok(Self::Temporary(folder.context("create a temporary folder")?));
        };
        std::fs::create_dir(&folder).with_context(|| {
            format!("create {} (it must not exist yet, its parent must)", folder.display())
        })?;
        Ok(Self::Kept(folder.canonicalize().context("find the folder")?))
    }

    fn path(&self) -> &std::path::Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Kept(folder) => folder,
        }
    }
}

async fn demonstrate(
    args: &DemoArgs,
    place: &std::path::Path,
    processes: &mut Vec<Process>,
) -> anyhow::Result<()> {
    let fleet = demo_fleet(args.seed, now());
    let Running { page, mut loader } = setup::start(args.port, place, &fleet, processes).await?;
    print_invitation(&page);
    let loaded_until = now();
    load(&mut loader, &fleet, args.weeks).await?;
    eprintln!("all history is loaded; measuring goes on until Ctrl-C");
    go_on(&mut loader, args.seed, loaded_until, processes).await
}

fn print_invitation(page: &str) {
    let program = std::env::current_exe().ok();
    let program = program
        .as_deref()
        .and_then(|path| {
            let here = std::env::current_dir().ok()?;
            Some(path.strip_prefix(here).unwrap_or(path).display().to_string())
        })
        .unwrap_or_else(|| "busyhour".to_owned());
    println!("The page is at {page} (Ctrl-C stops everything).");
    println!("Real packets are measured on loopback; the other buildings are simulated.");
    println!();
    println!("Try, in another shell:");
    println!("  {program} --collector {page} top");
    println!("  {program} --collector {page} building show \"Berlin HQ\"");
    println!("  {program} --collector {page} incident ls");
    println!("  {program} --collector {page} path ls");
    println!("  {program} --collector {page} explain 3 --at 12h");
    println!();
}

/// Loads the newest week first, then week by week into the past.
async fn load(loader: &mut Loader, fleet: &Fleet, weeks: u8) -> anyhow::Result<()> {
    let days: Vec<i64> = fleet.days_newest_first().take(DAYS_A_STEP * usize::from(weeks)).collect();
    // Windows a path makes on a day; days in which an agent is off have fewer, so this is a bound.
    let paths: usize = fleet.agents.iter().map(|agent| agent.paths.len()).sum();
    let a_day = paths as u64 * u64::from(fleet.schedule.windows_per_slot()) * 96;
    let bar = progress_bar(a_day * days.len() as u64);
    let done = Arc::new(AtomicU64::new(0));
    for (week, days) in (1..).zip(days.chunks(DAYS_A_STEP)) {
        bar.set_message(format!("week {week} of {weeks} back"));
        let (bar_of_step, done_of_step) = (bar.clone(), done.clone());
        loader
            .deliver(days, move |windows| {
                let done = done_of_step.fetch_add(windows, Ordering::Relaxed) + windows;
                bar_of_step.set_position(done);
            })
            .await
            .context("load simulated history")?;
        // Agents that are off make fewer windows; the step is done all the same.
        let loaded = DAYS_A_STEP as u64 * (week - 1) + days.len() as u64;
        done.store(a_day * loaded, Ordering::Relaxed);
        bar.set_position(a_day * loaded);
        if !std::io::stderr().is_terminal() {
            eprintln!("week {week} of {weeks} is loaded");
        }
    }
    bar.finish_and_clear();
    Ok(())
}

fn progress_bar(length: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
    let style = "{msg:18} {wide_bar} {percent:>3} %  {per_sec} windows  {eta} left";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar
}

/// Lets the simulated agents observe the minutes that pass, and looks after the processes.
async fn go_on(
    loader: &mut Loader,
    seed: u64,
    mut delivered_until: UtcMicros,
    processes: &mut [Process],
) -> anyhow::Result<()> {
    let mut minutes = interval(LIVE_PERIOD);
    minutes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        minutes.tick().await;
        for process in processes.iter_mut() {
            process.check()?;
        }
        let until = now();
        if until.since(delivered_until) < US_A_MINUTE {
            continue;
        }
        let fleet = demo_fleet(seed, until);
        loader.deliver_span(fleet, delivered_until.0..until.0).await?;
        delivered_until = until;
    }
}
