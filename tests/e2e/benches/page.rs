//! What the page of a large fleet costs, through a real collector:
//!
//!     cargo bench --package e2e --bench page
//!     cargo bench --package e2e --bench page -- --smoke
//!     cargo bench --package e2e --bench page -- --reports   # what reviews cost instead
//!
//! 15,000 paths of 1,000 buildings, each with a window of this minute, and 22 days of verdicts of all paths, agents,
//! subnets and buildings are put into a store, with an incident for one building in ten. A collector serves
//! it; a client without a browser asks for pages as a browser does, compressed, over loopback. The smoke
//! run shows that the benchmark works, not what is true.

#![expect(clippy::expect_used, reason = "a benchmark that cannot go on stops")]

#[path = "store/cost.rs"]
#[allow(dead_code, reason = "not every benchmark looks at every cost")]
mod cost;
#[path = "judge/fleet.rs"]
#[allow(dead_code, reason = "the judge's benchmark looks at more of the fleet")]
mod fleet;
#[path = "page/history.rs"]
mod history;
#[path = "page/reports.rs"]
mod reports;
#[path = "judge/slots.rs"]
#[allow(dead_code, reason = "the judge's benchmark looks at more of the slots")]
mod slots;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use e2e::{Collector, Place, wait_for};
use tempfile::TempDir;

use crate::cost::grouped;

/// Days that have verdicts, today's included.
const DAYS: i64 = 22;
/// The goals of the first view: bytes over the wire, and how long it takes.
const GOAL_BYTES: usize = 300_000;
const GOAL: Duration = Duration::from_millis(300);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--report") {
        let [_, kind, folder, ..] = &arguments[at..] else { panic!("a kind and a folder") };
        return reports::one(kind, folder.as_ref());
    }
    let flag = |name: &str| arguments.iter().any(|argument| argument == name);
    let smoke = flag("--smoke");
    let (buildings, times) = if smoke { (120, 3) } else { (1_000, 50) };
    if smoke {
        println!("A smoke run: the figures mean nothing.");
        reports::measure(4);
    }
    if flag("--reports") {
        return reports::measure(buildings);
    }
    let folder = TempDir::new().expect("a folder");
    history::fill(&folder.path().join("data"), buildings, DAYS);
    let mut collector = Collector::start(&Place::default(), folder.path(), "");
    let first = get(&collector, "/", "identity");
    let rows = format!("1 to 100 of {buildings}");
    assert!(
        String::from_utf8_lossy(&first.body).contains(&rows),
        "the overview has its first rows"
    );
    println!(
        "  the first request after a start: {:.0} ms, while the collector still judges",
        first.took.as_secs_f64() * 1e3
    );
    wait_for("everything to be judged", || {
        (collector.figure("judge_waiting_dates") == 0).then_some(())
    });

    println!(
        "\n{} buildings, {} paths",
        grouped(buildings as f64),
        grouped((buildings * fleet::PATHS) as f64)
    );
    let mut first_view = 0;
    for (name, path) in pages(&collector) {
        let mut took: Vec<Duration> = Vec::with_capacity(times);
        let mut bytes = 0;
        for _ in 0..times {
            let answer = get(&collector, &path, "gzip");
            bytes = answer.body.len();
            took.push(answer.took);
        }
        took.sort_unstable();
        let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        println!(
            "  {name}: {:.1} ms median, {:.1} ms p90; {:.1} kB compressed",
            at(0.5),
            at(0.9),
            bytes as f64 / 1e3
        );
        if matches!(name, "overview" | "style sheet" | "script") {
            first_view += bytes;
        }
    }
    println!(
        "  the first view with its style and script: {:.1} kB (goal {} kB in {} ms)",
        first_view as f64 / 1e3,
        GOAL_BYTES / 1_000,
        GOAL.as_millis()
    );
    assert!(first_view < GOAL_BYTES, "how large it is does not depend on the machine");
    assert!(collector.stop(), "the collector stops in order");
}

/// What is asked for, by name.
fn pages(collector: &Collector) -> Vec<(&'static str, String)> {
    let overview = get(collector, "/", "identity");
    let overview = String::from_utf8_lossy(&overview.body).into_owned();
    let linked = |prefix: &str| {
        let links = overview.split("href=\"").filter_map(|rest| rest.split('"').next());
        links.into_iter().find(|href| href.starts_with(prefix)).map(str::to_owned)
    };
    let mut pages = vec![
        ("overview", "/".to_owned()),
        ("overview, one region", "/?region=region%2003".to_owned()),
        ("incidents", "/incidents".to_owned()),
        ("style sheet", linked("/assets/page.css").expect("a style sheet")),
        ("script", "/assets/page.js".to_owned()),
        ("metrics", "/metrics".to_owned()),
        ("buildings as JSON", "/api/v1/buildings".to_owned()),
    ];
    pages.extend(linked("/buildings/").map(|href| ("a building", href)));
    pages.extend(linked("/incidents/").map(|href| ("an incident", href)));
    pages
}

struct Answer {
    took: Duration,
    body: Vec<u8>,
}

/// Asks on a connection of its own, and reads all of the answer.
fn get(collector: &Collector, path: &str, encoding: &str) -> Answer {
    let address = collector.api.trim_start_matches("http://");
    let begun = Instant::now();
    let mut stream = TcpStream::connect(address).expect("the collector listens");
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept-Encoding: {encoding}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("it takes requests");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    let took = begun.elapsed();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
    Answer { took, body: answer.split_off(end + 4) }
}
