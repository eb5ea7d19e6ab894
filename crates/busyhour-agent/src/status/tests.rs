//! What the file says, and what the command makes of it.

use super::command::Life;
use super::report::Status;
use super::*;
use crate::reflector::Responder;

fn reporter(folder: &Path) -> Reporter {
    let clock = Clock::with_boot(busyhour_model::BootId::from_u128(7));
    let about = About {
        folder: folder.to_owned(),
        agent: None,
        collector: None,
        link_capacity: Some(100_000_000),
        started: clock.now(),
    };
    let quality = ClockQuality { synchronized: true, error_us: 1_500 };
    let (board, prober) = (Board::default(), None);
    let quality = watch::channel(quality).1;
    let uplink = watch::channel(View::new(None)).1;
    Reporter { about, clock, board, prober, reflectors: Vec::new(), quality, uplink }
}

fn read(folder: &Path) -> Status {
    serde_json::from_slice(&fs::read(folder.join(STATUS_FILE)).unwrap()).unwrap()
}

#[tokio::test]
async fn the_file_is_written_at_the_beginning_and_says_at_the_end_that_it_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let nested = folder.path().join("made/when/needed");
    let stop = CancellationToken::new();
    stop.cancel();
    let mut trouble = Trouble::default();
    let reporter = reporter(&nested);
    reporter.write(State::Running, None, &mut trouble).await;
    let first = read(&nested);
    assert_eq!((first.state, first.pid), (State::Running, std::process::id()));
    assert_eq!((first.clock.synchronized, first.clock.error_us), (true, 1_500));
    assert!(first.usage.unwrap().resident_bytes > 0);
    reporter.run(stop).await;
    assert_eq!(read(&nested).state, State::Stopped);
    let files: Vec<_> =
        fs::read_dir(&nested).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(files, [STATUS_FILE], "nothing unfinished is left");
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_told_of_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a file");
    fs::write(&file, "").unwrap();
    let mut trouble = Trouble::default();
    reporter(&file).write(State::Running, None, &mut trouble).await;
    assert!(trouble.told);
    trouble.note(Ok(()));
    assert!(!trouble.told);
}

#[tokio::test]
async fn reflectors_and_timing_are_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let settings = crate::reflector::tests::settings();
    let responder = Responder::bind("127.0.0.1:0".parse().unwrap(), &settings).unwrap();
    let reporter = Reporter { reflectors: vec![responder.view()], ..reporter(folder.path()) };
    let status = reporter.status(State::Running, timing()).await;
    assert_eq!(status.reflectors[0].listen, responder.address().to_string());
    assert!(status.timing.unwrap().timer_lag_ns_p50.is_some());
}

#[test]
fn an_agent_that_says_nothing_is_not_taken_to_run() {
    let (soon, late) = (Duration::from_secs(11), Duration::from_secs(31));
    assert_eq!(Life::of(State::Running, soon), Life::Runs);
    assert_eq!(Life::of(State::Running, late), Life::Silent);
    assert_eq!(Life::of(State::Stopped, soon), Life::Stopped);
    assert_eq!(Life::of(State::Stopped, late), Life::Stopped);
}
