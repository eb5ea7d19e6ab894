//! The same windows in the same order into VictoriaMetrics.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::cost::{Watch, cpu_of, grouped, peak_mb, thread_cpu};
use crate::fleet::Fleet;
use crate::import::{Body, Form};
use crate::ingest::{Feed, Shape};
use crate::victoria::{Victoria, installed};
use crate::{Effort, store};

/// Requests under way at once: one for each processor.
const CONNECTIONS: usize = 2;
/// Bodies that wait.
const AHEAD: usize = 2;

#[derive(Debug, Default)]
struct Found {
    windows: u64,
    samples: u64,
    /// Of the windows, those that were taken after half of the time.
    later: u64,
    seconds: f64,
    cpu: f64,
    generator_cpu: f64,
    peak_mb: f64,
    bytes: u64,
}

/// Measures both shapes, each by the fastest form of import.
pub(crate) fn measure(effort: &Effort) {
    println!(
        "\nVictoriaMetrics, the same windows in the same order, a sample for each field and bucket"
    );
    println!("  (it answers before anything is durable: samples wait in memory for some seconds)");
    if !installed() {
        return;
    }
    let shapes = [
        (effort.paths, Shape::Live),
        (effort.paths, Shape::Backlog),
        // Where its index of series is warm after a few rounds.
        (effort.paths.div_ceil(15), Shape::Live),
    ];
    for (paths, shape) in shapes.into_iter().take(effort.peer_shapes) {
        let fleet = store::fleet(effort, 2, paths);
        println!("\n  {shape:?}, {} paths", grouped(fleet.paths() as f64));
        let mut fastest: Option<(f64, Form)> = None;
        for form in Form::ALL {
            let found = run(&fleet, shape, form, effort.trial, Then::Leave);
            let rate = found.samples as f64 / found.seconds;
            println!("    {:<20}{:>12} samples/s in a trial", form.name(), grouped(rate));
            if fastest.is_none_or(|(best, _)| rate > best) {
                fastest = Some((rate, form));
            }
        }
        let (_, form) = fastest.expect("several were tried");
        print(form, &run(&fleet, shape, form, effort.peer, Then::Weigh));
    }
}

fn print(form: Form, found: &Found) {
    let (windows, seconds) = (found.windows as f64, found.seconds);
    println!("    by {}, {} windows in {seconds:.0} s:", form.name(), grouped(windows));
    println!(
        "    taken               {:>12} windows/s, {} samples/s",
        grouped(windows / seconds),
        grouped(found.samples as f64 / seconds)
    );
    println!(
        "    in the second half  {:>12} windows/s, most series known by then",
        grouped(found.later as f64 / (seconds / 2.0))
    );
    println!(
        "    processor           {:>12.2} cores, {:.2} for the generator",
        found.cpu / seconds,
        found.generator_cpu / seconds
    );
    println!("    memory              {:>12.0} MB at most", found.peak_mb);
    println!(
        "    on disk             {:>12.1} bytes for a window of {:.0} samples, merged",
        found.bytes as f64 / windows,
        found.samples as f64 / windows
    );
}

/// What becomes of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Leave,
    /// It is counted and weighed.
    Weigh,
}

fn run(fleet: &Fleet, shape: Shape, form: Form, time: Duration, then: Then) -> Found {
    let folder = store::folder();
    let victoria = Victoria::start(folder.path());
    let before = cpu_of(victoria.id());
    let watch = Watch::start();
    let enough = Arc::new(AtomicBool::new(false));
    let (send, bodies) = sync_channel::<Body>(AHEAD);
    let bodies = Mutex::new(bodies);
    let half = Instant::now() + time / 2;
    let mut found = thread::scope(|scope| {
        let stop = Arc::clone(&enough);
        let generator = scope.spawn(move || {
            let before = thread_cpu();
            let mut feed = Feed::new(fleet, shape, 0, 0);
            let mut body = Body::new(form);
            while !stop.load(Ordering::Relaxed) {
                for block in feed.group(1) {
                    add(&mut body, fleet, &block);
                }
                if body.is_full()
                    && send.send(std::mem::replace(&mut body, Body::new(form))).is_err()
                {
                    break;
                }
            }
            drop(send);
            thread_cpu() - before
        });
        let posters: Vec<_> = (0..CONNECTIONS)
            .map(|_| scope.spawn(|| post(&victoria, form, &bodies, half)))
            .collect();
        thread::sleep(time);
        enough.store(true, Ordering::Relaxed);
        let mut found = Found::default();
        for poster in posters {
            let part = poster.join().expect("bodies are taken");
            found.windows += part.windows;
            found.samples += part.samples;
            found.later += part.later;
        }
        found.seconds = watch.wall();
        found.generator_cpu = generator.join().expect("the generator ends");
        found
    });
    found.cpu = cpu_of(victoria.id()) - before;
    found.peak_mb = peak_mb(victoria.id());
    if then == Then::Weigh {
        assert_eq!(victoria.settle(), found.samples, "every sample is there");
        found.bytes = victoria.stop();
    }
    found
}

/// Adds a block's windows, run by run of a path.
pub(crate) fn add(body: &mut Body, fleet: &Fleet, block: &busyhour_store::BlockRows) {
    for run in block.windows.chunk_by(|a, b| a.window.path == b.window.path) {
        if let Some(first) = run.first() {
            let path = fleet.path_named(block.agent, &first.window.path);
            body.add(path, run);
        }
    }
}

fn post(victoria: &Victoria, form: Form, bodies: &Mutex<Receiver<Body>>, half: Instant) -> Found {
    let mut connection = victoria.connect();
    let mut found = Found::default();
    loop {
        // Held while waiting: whoever has it takes the next body.
        let next = bodies.lock().expect("nobody failed").recv();
        let Ok(body) = next else { return found };
        connection.post(form.endpoint(), body.bytes());
        found.windows += body.windows;
        found.samples += body.samples;
        if Instant::now() >= half {
            found.later += body.windows;
        }
    }
}
