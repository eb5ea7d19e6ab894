//! What the file says, and what the command makes of it.

use super::command::Life;
use super::report::Status;
use super::*;
use crate::reflector::Responder;
use crate::spool::Failing;

fn reporter(folder: &Path) -> Reporter {
    let clock = Clock::with_boot(busyhour_model::BootId::from_u128(7));
    let about = About {
        folder: folder.to_owned(),
        agent: None,
        collector: None,
        link_capacity: Some(100_000_000),
        accepts: Accepts::Targets,
        started: clock.now(),
    };
    let quality = ClockQuality { synchronized: true, error_us: 1_500 };
    let (board, prober) = (Board::default(), None);
    let quality = watch::channel(quality).1;
    let uplink = watch::channel(View::new(None)).1;
    let (reflectors, spool, switch) = (Vec::new(), None, Switch::on());
    let asked = watch::channel(None).1;
    Reporter { about, clock, board, prober, reflectors, quality, uplink, spool, switch, asked }
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

#[tokio::test]
async fn a_disk_that_takes_nothing_is_in_it_with_what_waits_and_what_was_lost() {
    let folder = tempfile::tempdir().unwrap();
    let mut view = SpoolView {
        failing: None,
        blocks: 3,
        size_bytes: 1_500_000,
        max_bytes: 64_000_000,
        max_age: Duration::from_secs(600),
        waiting: 0,
        given_up: 0,
        sent_bytes: 2_000_000,
    };
    let reporter = |view: &SpoolView| {
        let spool = Some(watch::channel(view.clone()).1);
        Reporter { spool, ..reporter(folder.path()) }
    };
    let status = reporter(&view).status(State::Running, None).await;
    let shown = table::show(&status, Life::Runs, Duration::ZERO);
    assert!(shown.contains("3 blocks, 1.5 MB of 64.0 MB at most"), "{shown}");
    let since = busyhour_model::UtcMicros::from_secs(1_800_000_000);
    let why = "append in spool: disk full".to_owned();
    view = SpoolView { failing: Some(Failing { since, why }), waiting: 7, given_up: 2, ..view };
    let status = reporter(&view).status(State::Running, None).await;
    let spool = status.spool.as_ref().unwrap();
    assert_eq!((spool.kept_in.as_str(), spool.waiting_records), ("memory", 7));
    let shown = table::show(&status, Life::Runs, Duration::ZERO);
    let expected = "7 records in memory: the disk takes nothing since 2027-01-15T08:00:00Z \
                    (append in spool: disk full); 2 records were lost";
    assert!(shown.contains(expected), "{shown}");
}

#[test]
fn an_agent_that_says_nothing_is_not_taken_to_run() {
    let (soon, late) = (Duration::from_secs(11), Duration::from_secs(31));
    assert_eq!(Life::of(State::Running, soon), Life::Runs);
    assert_eq!(Life::of(State::Running, late), Life::Silent);
    assert_eq!(Life::of(State::Stopped, soon), Life::Stopped);
    assert_eq!(Life::of(State::Stopped, late), Life::Stopped);
}

#[test]
fn what_the_collector_asks_for_and_what_became_of_it_is_told_to_the_machines_owner() {
    use v1::ConfigurationState as Said;
    let told = |accepts, revision, told_revision, state: Said, reason: &str| {
        let report = v1::ConfigurationReport {
            revision,
            told_revision,
            state: state.into(),
            reason: reason.to_owned(),
            ..v1::ConfigurationReport::default()
        };
        table::asked_for(&Asked::new(accepts, &report, 0))
    };
    let takes = Accepts::Targets;
    assert_eq!(told(takes, 0, 0, Said::Nothing, ""), "nothing beside its own file");
    assert_eq!(told(takes, 7, 7, Said::Trial, ""), "revision 7, on trial");
    assert_eq!(told(takes, 7, 7, Said::Committed, ""), "revision 7");
    assert_eq!(told(takes, 0, 0, Said::Committed, ""), "nothing beside its own file");
    let refused = told(takes, 7, 8, Said::Refused, "it may not be probed");
    assert_eq!(refused, "revision 8, refused: it may not be probed; revision 7 runs");
    let back = told(takes, 0, 8, Said::RolledBack, "it was ill");
    assert_eq!(back, "revision 8, given up: it was ill; nothing of the collector's runs");
    let none = told(Accepts::Nothing, 0, 0, Said::Nothing, "");
    assert!(none.contains("remote.accept"), "{none}");
    let report = v1::ConfigurationReport {
        revision: 7,
        state: Said::Committed.into(),
        ..v1::ConfigurationReport::default()
    };
    let waits = table::asked_for(&Asked::new(takes, &report, 2));
    assert_eq!(waits, "revision 7; 2 targets wait until the collector tells whose turn it is");
}
